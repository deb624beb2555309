import { DType } from "./arguments";
import { isQuantised } from "./weights";

// Rows of activations, prepared once for weights of a dtype, before all outputs use them.
// - f32: as they are.
// - 16 bits: eight at a time, first those of even place, then those of odd place, because weights are unpacked like
//   that in 32-bit lanes. For f16 they are multiplied by 2^56: half of the factor that a half needs after its bits were
//   only shifted into place. The sum is multiplied by the other half.
// - Quantised: 16-bit integers with one scale per block of 32. Products of 16 bits are exact in SIMD, and the rounding
//   is too fine to matter. For many rows, on machines that multiply bytes, see byte-activations.ts.

/** 2^112, which makes an f32 of a half whose bits were shifted by 13. */
export const HALF_FACTOR: f32 = 5.192296858534828e33;
export const HALF_ROOT: f32 = 7.2057594037927936e16;

/**
 * Bytes of one row: the numbers, then a scale per block of 32, then per block the factor of the minimum (q4_*).
 */
export function activationBytes(dtype: i32, width: i32): usize {
  if (dtype == DType.F32) return <usize>width << 2;
  if (!isQuantised(dtype)) return <usize>((width + 7) & ~7) << 2;
  return (<usize>width << 1) + (scaleBytes(width) << 1);
}

/** Bytes of the scales of a row, in whole vectors. */
// @ts-ignore: decorator
@inline
export function scaleBytes(width: i32): usize { return <usize>((width + 127) >> 7) << 4; }

/** Row of `width` numbers at `from`, made ready at `to`. */
export function prepareActivations(dtype: i32, from: usize, width: i32, to: usize): void {
  if (dtype == DType.F32) {
    memory.copy(to, from, width << 2);
    return;
  }
  if (isQuantised(dtype)) {
    if (dtype == DType.Q8_0) quantise(false, from, width, to, 1);
    else quantise(true, from, width, to, dtype == DType.Q4_0 ? -8 : 1);
    return;
  }
  const factor = f32x4.splat(dtype == DType.F16 ? HALF_ROOT : 1);
  let i = 0;
  for (; i + 8 <= width; i += 8) {
    const a = f32x4.mul(v128.load(from + (i << 2)), factor);
    const b = f32x4.mul(v128.load(from + (i << 2), 16), factor);
    v128.store(to + (i << 2), v128.shuffle<f32>(a, b, 0, 2, 4, 6));
    v128.store(to + (i << 2), v128.shuffle<f32>(a, b, 1, 3, 5, 7), 16);
  }
  if (i == width) return;
  for (let j = 0; j < 8; j++) {
    const x: f32 = i + j < width ? load<f32>(from + ((i + j) << 2)) * f32x4.extract_lane(factor, 0) : 0;
    store<f32>(to + ((i + ((j & 1) << 2) + (j >> 1)) << 2), x);
  }
}

// @ts-ignore: decorator
@inline
export function nearest(x: v128): v128 {
  const rounded = f32x4.nearest(x);
  // One instruction instead of five. They differ only for numbers that are not converted here.
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_trunc_f32x4_s(rounded);
  return i32x4.trunc_sat_f32x4_s(rounded);
}

// @ts-ignore: decorator
@inline
function quantise8(from: usize, factor: v128): v128 {
  const a = nearest(f32x4.mul(v128.load(from), factor));
  const b = nearest(f32x4.mul(v128.load(from, 16), factor));
  return i16x8.narrow_i32x4_s(a, b);
}

// @ts-ignore: decorator
@inline
function evens(a: v128, b: v128): v128 { return v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14); }

// @ts-ignore: decorator
@inline
function odds(a: v128, b: v128): v128 { return v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15); }

/** The greatest absolute value of the 32 numbers at `from`. */
// @ts-ignore: decorator
@inline
export function greatestOf(from: usize): f32 {
  let greatest = f32x4.splat(0);
  for (let i: usize = 0; i < 128; i += 16) greatest = f32x4.pmax(greatest, f32x4.abs(v128.load(from + i)));
  greatest = f32x4.pmax(greatest, v128.shuffle<f32>(greatest, greatest, 2, 3, 0, 1));
  greatest = f32x4.pmax(greatest, v128.shuffle<f32>(greatest, greatest, 1, 0, 3, 2));
  return f32x4.extract_lane(greatest, 0);
}

// @ts-ignore: decorator
@inline
export function sumOf(lanes: v128): i32 {
  return i32x4.extract_lane(lanes, 0) + i32x4.extract_lane(lanes, 1)
    + i32x4.extract_lane(lanes, 2) + i32x4.extract_lane(lanes, 3);
}

/** With `paired`, in the order in which weights of 4 bits come apart; else in their own. */
export function quantise(paired: bool, from: usize, width: i32, to: usize, offset: f32): void {
  const scales = to + (<usize>width << 1);
  const offsets = scales + scaleBytes(width);
  const blocks = width >> 5;
  // Kernels read whole vectors of both. Old contents could make subnormal products, which take a hundred times as long.
  for (let i = blocks; i < ((blocks + 3) & ~3); i++) {
    store<f32>(scales + (i << 2), 0);
    store<f32>(offsets + (i << 2), 0);
  }
  for (let block = 0; block < blocks; block++, from += 128, to += 64) {
    const most = greatestOf(from);
    const factor = f32x4.splat(most > 0 ? <f32>32767 / most : 0);
    const a = quantise8(from, factor);
    const b = quantise8(from + 32, factor);
    const scale = most * (HALF_FACTOR / 32767);
    store<f32>(scales + (block << 2), scale);
    // In pairs, the second half of a block is multiplied by weights that are 16 times too large.
    const second = f32x4.mul(factor, f32x4.splat(paired ? 0.0625 : 1));
    const c = quantise8(from + 64, second);
    const d = quantise8(from + 96, second);
    if (paired) {
      // Weights j and j + 16 share a byte, and two bytes a lane.
      v128.store(to, evens(a, b));
      v128.store(to, evens(c, d), 16);
      v128.store(to, odds(a, b), 32);
      v128.store(to, odds(c, d), 48);
    } else {
      v128.store(to, a);
      v128.store(to, b, 16);
      v128.store(to, c, 32);
      v128.store(to, d, 48);
    }
    const ones = i16x8.splat(1);
    const more = i16x8.splat(paired ? 16 : 1);
    let total = i32x4.add(i32x4.dot_i16x8_s(a, ones), i32x4.dot_i16x8_s(b, ones));
    total = i32x4.add(total, i32x4.add(i32x4.dot_i16x8_s(c, more), i32x4.dot_i16x8_s(d, more)));
    store<f32>(offsets + (block << 2), <f32>sumOf(total) * scale * offset);
  }
}
