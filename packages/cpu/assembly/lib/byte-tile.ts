import { DType } from "./arguments";
import { HALF_FACTOR } from "./activations";
import { byteRowBytes, planeBytes } from "./byte-activations";
import { byteDot, zeroPoint } from "./byte-dot";
import { madd } from "./math";
import { packPanel } from "./panel";
import { shifted } from "./quantised-dots";
import { minimumsOf, scalesOf } from "./weights";

// Matrix products with quantised weights as bytes, four at a time (see byte-dot.ts), in blocks of 32 that end with one
// product of scales. A panel holds eight rows of weights: groups of four quants [depth / 4, 8, 4], then per block eight
// scales, eight initial sums, and eight minimums. The zero point of the activations makes each sum too large by the
// zero point times the sum of the block's quants, so the initial sum is the negative of that.

const BLOCK: usize = 96; // Bytes of a block's scales, starts and minimums.

/** Bytes of a panel of `depth` weights per row. */
// @ts-ignore: decorator
@inline
export function bytePanelBytes(depth: i32): usize { return <usize>(depth << 3) + <usize>(depth >> 5) * BLOCK; }

/** Quants of one row from weight `first` of the matrix on, as bytes. */
function unpackBytes(dtype: i32, matrix: usize, first: usize, depth: i32, to: usize): void {
  if (dtype == DType.Q8_0) {
    memory.copy(to, matrix + first, depth);
    return;
  }
  const zero = i8x16.splat(dtype == DType.Q4_0 ? 8 : 0);
  const last = to + depth;
  for (let q = matrix + (first >> 1); to < last; q += 16, to += 32) {
    const pairs = v128.load(q);
    v128.store(to, i8x16.sub(v128.and(pairs, i8x16.splat(15)), zero));
    v128.store(to, i8x16.sub(i8x16.shr_u(pairs, 4), zero), 16);
  }
}

/**
 * Packs weights from..from + depth of rows o..o + rows as a panel at `to`; the rest of the eight rows become 0. `spare`
 * holds eight rows.
 */
export function packBytes(
  dtype: i32, matrix: usize, out: i32, width: i32, o: i32, rows: i32, from: i32, depth: i32, to: usize, spare: usize,
): void {
  const blocks = depth >> 5;
  const ends = to + (depth << 3);
  if (rows < 8) memory.fill(ends, 0, <usize>blocks * BLOCK);
  for (let c = 0; c < rows; c++) {
    const first = <usize>(o + c) * width + from;
    unpackBytes(dtype, matrix, first, depth, spare + c * depth);
    const d = matrix + scalesOf(dtype, out, width) + (first >> 4);
    const m = matrix + minimumsOf(dtype, out, width) + (first >> 4);
    for (let block = 0; block < blocks; block++) {
      const at = ends + block * BLOCK + (c << 2);
      store<f32>(at, half(d + (block << 1)));
      if (dtype == DType.Q4_1) store<f32>(at, half(m + (block << 1)), 64);
    }
  }
  packPanel(spare, depth, rows, depth >> 2, to);
  const ones = i8x16.splat(1);
  const factor = i32x4.splat(-zeroPoint);
  for (let end = ends; to < ends; end += BLOCK) {
    let low = i32x4.splat(0);
    let high = low;
    for (const next = to + 256; to < next; to += 32) {
      low = byteDot(v128.load(to), ones, low);
      high = byteDot(v128.load(to, 16), ones, high);
    }
    v128.store(end, i32x4.mul(low, factor), 32);
    v128.store(end, i32x4.mul(high, factor), 48);
  }
}

/** The half at `at`. */
// @ts-ignore: decorator
@inline
function half(at: usize): f32 { return f32x4.extract_lane(shifted(i32x4.splat(<i32>load<i16>(at))), 0) * HALF_FACTOR; }

/** One row of the tile, at the end of a block. */
// @ts-ignore: decorator
@inline
function finish(minimums: bool, c: usize, low: v128, high: v128, s: usize, f: usize, end: usize): void {
  let factor = v128.load32_splat(s);
  let first = madd(f32x4.convert_i32x4_s(low), f32x4.mul(factor, v128.load(end)), v128.load(c));
  let second = madd(f32x4.convert_i32x4_s(high), f32x4.mul(factor, v128.load(end, 16)), v128.load(c, 16));
  if (minimums) {
    factor = v128.load32_splat(s + f);
    first = madd(factor, v128.load(end, 64), first);
    second = madd(factor, v128.load(end, 80), second);
  }
  v128.store(c, first);
  v128.store(c, second, 16);
}

/**
 * c[0..rows, 0..8) += activations from..from + depth of the group of rows at `x`, each of `width` numbers, times a
 * panel of `depth` weights per row. Rows of `c` are `stride` bytes apart. `rows` is 4 or 6.
 */
// @ts-ignore: decorator
@inline
function tile(
  rows: i32, minimums: bool, x: usize, width: i32, from: i32, depth: i32, panel: usize, c: usize, stride: usize,
): void {
  const row = byteRowBytes(width);
  const plane = planeBytes(width);
  let a = x + from;
  let s = x + width + (from >> 3);
  const f = <usize>width >> 3; // How far behind its scale the sum of a block is,
  const flag = 2 * plane - width; // and its flag.
  let second = false;
  let b = panel;
  let end = panel + (depth << 3);
  const last = end;
  while (b < last) {
    let c00 = v128.load(end, 32);
    let c01 = v128.load(end, 48);
    let c10 = c00;
    let c11 = c01;
    let c20 = c00;
    let c21 = c01;
    let c30 = c00;
    let c31 = c01;
    let c40 = c00;
    let c41 = c01;
    let c50 = c00;
    let c51 = c01;
    for (const next = b + 256; b < next; b += 32, a += 4) {
      const b0 = v128.load(b);
      const b1 = v128.load(b, 16);
      let x = v128.load32_splat(a);
      c00 = byteDot(b0, x, c00);
      c01 = byteDot(b1, x, c01);
      x = v128.load32_splat(a + row);
      c10 = byteDot(b0, x, c10);
      c11 = byteDot(b1, x, c11);
      x = v128.load32_splat(a + 2 * row);
      c20 = byteDot(b0, x, c20);
      c21 = byteDot(b1, x, c21);
      x = v128.load32_splat(a + 3 * row);
      c30 = byteDot(b0, x, c30);
      c31 = byteDot(b1, x, c31);
      if (rows == 4) continue;
      x = v128.load32_splat(a + 4 * row);
      c40 = byteDot(b0, x, c40);
      c41 = byteDot(b1, x, c41);
      x = v128.load32_splat(a + 5 * row);
      c50 = byteDot(b0, x, c50);
      c51 = byteDot(b1, x, c51);
    }
    finish(minimums, c, c00, c01, s, f, end);
    finish(minimums, c + stride, c10, c11, s + row, f, end);
    finish(minimums, c + 2 * stride, c20, c21, s + 2 * row, f, end);
    finish(minimums, c + 3 * stride, c30, c31, s + 3 * row, f, end);
    if (rows == 6) {
      finish(minimums, c + 4 * stride, c40, c41, s + 4 * row, f, end);
      finish(minimums, c + 5 * stride, c50, c51, s + 5 * row, f, end);
    }
    if (second) {
      second = false;
      a -= plane;
      s -= plane;
    } else if (load<i32>(s + flag) != 0) {
      // Repeats the block with the second plane.
      second = true;
      a += plane - 32;
      s += plane;
      b -= 256;
      continue;
    }
    s += 4;
    end += BLOCK;
  }
}

/** Six rows of a group. */
export function tileBytes6(x: usize, width: i32, from: i32, depth: i32, panel: usize, c: usize, stride: usize): void {
  tile(6, false, x, width, from, depth, panel, c, stride);
}

/** Four rows. */
export function tileBytes4(x: usize, width: i32, from: i32, depth: i32, panel: usize, c: usize, stride: usize): void {
  tile(4, false, x, width, from, depth, panel, c, stride);
}

/** Six rows, of weights with minimums. */
export function tileMinimums6(
  x: usize, width: i32, from: i32, depth: i32, panel: usize, c: usize, stride: usize,
): void {
  tile(6, true, x, width, from, depth, panel, c, stride);
}

/** Four rows, of weights with minimums. */
export function tileMinimums4(
  x: usize, width: i32, from: i32, depth: i32, panel: usize, c: usize, stride: usize,
): void {
  tile(4, true, x, width, from, depth, panel, c, stride);
}
