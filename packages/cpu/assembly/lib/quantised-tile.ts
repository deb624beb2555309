import { DType } from "./arguments";
import { packPanel } from "./panel";
import { shifted } from "./quantised-dots";
import { minimumsOf, scalesOf } from "./weights";

// Matrix products with quantised weights: 16-bit integers times 16-bit integers, two at a time, in blocks of 32 that
// end with one product of scales. A panel holds eight rows of weights: pairs of quants [depth / 2, 8, 2], then per
// block eight scales, then eight minimums.

/** Bytes of a panel of `depth` weights per row. */
// @ts-ignore: decorator
@inline
export function panelBytes(depth: i32): usize { return <usize>(depth * 16 + (depth >> 5) * 64); }

/** Quants of one row from weight `first` of the matrix on, as 16 bits. */
function widen(dtype: i32, matrix: usize, first: usize, depth: i32, to: usize): void {
  const last = to + (depth << 1);
  if (dtype == DType.Q8_0) {
    for (let q = matrix + first; to < last; q += 8, to += 16) v128.store(to, v128.load_ext<i8>(q));
    return;
  }
  const zero = i8x16.splat(dtype == DType.Q4_0 ? 8 : 0);
  for (let q = matrix + (first >> 1); to < last; q += 16, to += 64) {
    const pairs = v128.load(q);
    const low = i8x16.sub(v128.and(pairs, i8x16.splat(15)), zero);
    const high = i8x16.sub(v128.and(i16x8.shr_u(pairs, 4), i8x16.splat(15)), zero);
    v128.store(to, i16x8.extend_low_i8x16_s(low));
    v128.store(to, i16x8.extend_high_i8x16_s(low), 16);
    v128.store(to, i16x8.extend_low_i8x16_s(high), 32);
    v128.store(to, i16x8.extend_high_i8x16_s(high), 48);
  }
}

/**
 * Packs weights from..from + depth of rows o..o + rows as a panel at `to`; the rest of the eight rows become 0. `spare`
 * holds eight rows.
 */
export function packQuantised(
  dtype: i32, matrix: usize, out: i32, width: i32, o: i32, rows: i32, from: i32, depth: i32, to: usize, spare: usize,
): void {
  const blocks = depth >> 5;
  const scales = to + (depth << 4);
  if (rows < 8) memory.fill(scales, 0, blocks << 6);
  for (let c = 0; c < rows; c++) {
    const first = <usize>(o + c) * width + from;
    widen(dtype, matrix, first, depth, spare + c * (depth << 1));
    const d = matrix + scalesOf(dtype, out, width) + (first >> 4);
    const m = matrix + minimumsOf(dtype, out, width) + (first >> 4);
    for (let block = 0; block < blocks; block++) {
      const at = scales + (block << 6) + (c << 2);
      v128.store32_lane(at, shifted(i32x4.splat(<i32>load<i16>(d + (block << 1)))), 0);
      if (dtype == DType.Q4_1) v128.store32_lane(at + 32, shifted(i32x4.splat(<i32>load<i16>(m + (block << 1)))), 0);
    }
  }
  packPanel(spare, depth << 1, rows, depth >> 1, to);
}

// @ts-ignore: decorator
@inline
function finish(c: usize, low: v128, high: v128, x: usize, scale: usize): void {
  const factor = v128.load32_splat(x);
  v128.store(c, f32x4.add(v128.load(c), f32x4.mul(f32x4.convert_i32x4_s(low), f32x4.mul(factor, v128.load(scale)))));
  v128.store(c,
    f32x4.add(v128.load(c, 16), f32x4.mul(f32x4.convert_i32x4_s(high), f32x4.mul(factor, v128.load(scale, 16)))), 16);
}

// @ts-ignore: decorator
@inline
function offset(c: usize, x: usize, minimum: usize): void {
  const factor = v128.load32_splat(x);
  v128.store(c, f32x4.add(v128.load(c), f32x4.mul(factor, v128.load(minimum))));
  v128.store(c, f32x4.add(v128.load(c, 16), f32x4.mul(factor, v128.load(minimum, 16))), 16);
}

/**
 * c[0..4, 0..8) += four rows of activations times a panel of `depth` weights per row. The activations are 16-bit quants
 * at `a`, their blocks' scales at `s` and offsets at `f`, rows `stride` bytes apart. Rows of `c` are `cStride` bytes
 * apart.
 */
export function tileQuantised(
  minimums: bool, depth: i32, a: usize, s: usize, f: usize, stride: usize, panel: usize, c: usize, cStride: usize,
): void {
  let a0 = a;
  let a1 = a + stride;
  let a2 = a1 + stride;
  let a3 = a2 + stride;
  let b = panel;
  let scale = panel + (depth << 4);
  const c1 = c + cStride;
  const c2 = c1 + cStride;
  const c3 = c2 + cStride;
  const last = scale;
  while (b < last) {
    let c00 = i32x4.splat(0);
    let c01 = c00;
    let c10 = c00;
    let c11 = c00;
    let c20 = c00;
    let c21 = c00;
    let c30 = c00;
    let c31 = c00;
    const end = b + 512;
    for (; b < end; b += 32) {
      const b0 = v128.load(b);
      const b1 = v128.load(b, 16);
      let x = v128.load32_splat(a0);
      c00 = i32x4.add(c00, i32x4.dot_i16x8_s(x, b0));
      c01 = i32x4.add(c01, i32x4.dot_i16x8_s(x, b1));
      x = v128.load32_splat(a1);
      c10 = i32x4.add(c10, i32x4.dot_i16x8_s(x, b0));
      c11 = i32x4.add(c11, i32x4.dot_i16x8_s(x, b1));
      x = v128.load32_splat(a2);
      c20 = i32x4.add(c20, i32x4.dot_i16x8_s(x, b0));
      c21 = i32x4.add(c21, i32x4.dot_i16x8_s(x, b1));
      x = v128.load32_splat(a3);
      c30 = i32x4.add(c30, i32x4.dot_i16x8_s(x, b0));
      c31 = i32x4.add(c31, i32x4.dot_i16x8_s(x, b1));
      a0 += 4;
      a1 += 4;
      a2 += 4;
      a3 += 4;
    }
    finish(c, c00, c01, s, scale);
    finish(c1, c10, c11, s + stride, scale);
    finish(c2, c20, c21, s + 2 * stride, scale);
    finish(c3, c30, c31, s + 3 * stride, scale);
    if (minimums) {
      offset(c, f, scale + 32);
      offset(c1, f + stride, scale + 32);
      offset(c2, f + 2 * stride, scale + 32);
      offset(c3, f + 3 * stride, scale + 32);
      f += 4;
    }
    s += 4;
    scale += 64;
  }
}
