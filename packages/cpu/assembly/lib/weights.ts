import { DType } from "./arguments";
import { fromFloat16x4, load1, unpack } from "./half";

// Weight matrices [out, width], plain or quantised by blocks of 32 (see `weightLayout` in @ziggurat/tensor).

// @ts-ignore: decorator
@inline
export function isQuantised(dtype: i32): bool { return dtype >= DType.Q8_0; }

// @ts-ignore: decorator
@inline
function align16(bytes: usize): usize { return (bytes + 15) & ~15; }

/** Where the scales start, from the matrix on. */
// @ts-ignore: decorator
@inline
export function scalesOf(dtype: i32, out: i32, width: i32): usize {
  const count = <usize>out * <usize>width;
  return align16(dtype == DType.Q8_0 ? count : count >> 1);
}

/** Where the minimums of q4_1 start, from the matrix on. */
// @ts-ignore: decorator
@inline
export function minimumsOf(dtype: i32, out: i32, width: i32): usize {
  return scalesOf(dtype, out, width) + align16((<usize>out * <usize>width) >> 4);
}

// @ts-ignore: decorator
@inline
function store8(to: usize, q: v128, scale: v128, minimum: v128): void {
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q)), scale), minimum));
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q)), scale), minimum), 16);
}

/** Weights from..from + count of row `row` as f32 at `to`. Of quantised ones both are multiples of 32. */
export function unpackWeights(
  dtype: i32, matrix: usize, out: i32, width: i32, row: i32, from: i32, count: i32, to: usize,
): void {
  const first = <usize>row * <usize>width + <usize>from;
  if (dtype == DType.F32) {
    memory.copy(to, matrix + (first << 2), count << 2);
    return;
  }
  if (dtype == DType.F16 || dtype == DType.BF16) {
    unpack(dtype, matrix + (first << 1), to, count);
    return;
  }
  let scales = matrix + scalesOf(dtype, out, width) + (first >> 4);
  let minimums = matrix + minimumsOf(dtype, out, width) + (first >> 4);
  const last = to + (count << 2);
  if (dtype == DType.Q8_0) {
    const none = f32x4.splat(0);
    for (let q = matrix + first; to < last; q += 32, to += 128, scales += 2) {
      const scale = f32x4.splat(load1(DType.F16, scales));
      const a = v128.load(q);
      const b = v128.load(q, 16);
      store8(to, i16x8.extend_low_i8x16_s(a), scale, none);
      store8(to + 32, i16x8.extend_high_i8x16_s(a), scale, none);
      store8(to + 64, i16x8.extend_low_i8x16_s(b), scale, none);
      store8(to + 96, i16x8.extend_high_i8x16_s(b), scale, none);
    }
    return;
  }
  for (let q = matrix + (first >> 1); to < last; q += 16, to += 128, scales += 2, minimums += 2) {
    const d = load1(DType.F16, scales);
    const scale = f32x4.splat(d);
    const minimum = f32x4.splat(dtype == DType.Q4_1 ? load1(DType.F16, minimums) : -8 * d);
    const pairs = v128.load(q);
    const low = v128.and(pairs, i8x16.splat(15));
    const high = v128.and(i16x8.shr_u(pairs, 4), i8x16.splat(15));
    store8(to, i16x8.extend_low_i8x16_u(low), scale, minimum);
    store8(to + 32, i16x8.extend_high_i8x16_u(low), scale, minimum);
    store8(to + 64, i16x8.extend_low_i8x16_u(high), scale, minimum);
    store8(to + 96, i16x8.extend_high_i8x16_u(high), scale, minimum);
  }
}
