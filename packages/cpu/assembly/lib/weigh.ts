import { HALF_ROOT } from "./activations";
import { DType } from "./arguments";
import { halfBits, upper } from "./dots";
import { evens, load1, odds, sizeOf } from "./half";
import { madd2 } from "./math";
import { scaleRow } from "./softmax";

// Rows of values, weighted for the few query heads that share them.

/** Rows of values that are weighted at once; rows of weights lie as many numbers apart. */
export const CHUNK = 256;

/** Adds four weighted rows to eight sums of one query head: those of even place, then the odd ones. */
// @ts-ignore: decorator
@inline
function add4(
  w: usize, quarter: usize, to: usize, x0: v128, x1: v128, x2: v128, x3: v128, y0: v128, y1: v128, y2: v128, y3: v128,
): void {
  let u = v128.load32_splat(w);
  let v = v128.load32_splat(w + quarter);
  let even = madd2(u, x0, v, x1, v128.load(to));
  let odd = madd2(u, y0, v, y1, v128.load(to, 16));
  w += quarter << 1;
  u = v128.load32_splat(w);
  v = v128.load32_splat(w + quarter);
  even = madd2(u, x2, v, x3, even);
  odd = madd2(u, y2, v, y3, odd);
  v128.store(to, even);
  v128.store(to, odd, 16);
}

/**
 * Adds weights x values to `heads` (1 to 4) rows of sums. Rows are taken by fours that lie a quarter of all apart, so that memory is read in order and as
 * four streams: one alone waits for memory more often. 16 bits: of each eight sums those of even place lie before the odd ones.
 */
// @ts-ignore: decorator
@inline
function columns(dtype: i32, heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize): void {
  const mask = i32x4.splat(dtype == DType.BF16 ? upper : halfBits);
  const rows = <usize>((count + 3) >> 2);
  const quarter = rows << 2;
  const final = values + <usize>(count - 1) * rowBytes;
  const end = weights + quarter;
  for (let w = weights; w < end; w += 4, values += rowBytes) {
    // Where there are too few rows the last is taken again: the weights behind the last are 0.
    let p0 = values;
    const p1 = min(p0 + rows * rowBytes, final) - p0;
    const p2 = min(p0 + 2 * rows * rowBytes, final) - p0;
    const p3 = min(p0 + 3 * rows * rowBytes, final) - p0;
    const last = to + (<usize>width << 2);
    for (let sums = to; sums < last; sums += 32) {
      let x0 = v128.load(p0);
      let x1 = v128.load(p0 + p1);
      let x2 = v128.load(p0 + p2);
      let x3 = v128.load(p0 + p3);
      let y0 = x0;
      let y1 = x1;
      let y2 = x2;
      let y3 = x3;
      if (dtype == DType.F32) {
        y0 = v128.load(p0, 16);
        y1 = v128.load(p0 + p1, 16);
        y2 = v128.load(p0 + p2, 16);
        y3 = v128.load(p0 + p3, 16);
        p0 += 32;
      } else {
        y0 = odds(dtype, x0, mask);
        y1 = odds(dtype, x1, mask);
        y2 = odds(dtype, x2, mask);
        y3 = odds(dtype, x3, mask);
        x0 = evens(dtype, x0, mask);
        x1 = evens(dtype, x1, mask);
        x2 = evens(dtype, x2, mask);
        x3 = evens(dtype, x3, mask);
        p0 += 16;
      }
      add4(w, quarter, sums, x0, x1, x2, x3, y0, y1, y2, y3);
      if (heads > 1) add4(w + CHUNK * 4, quarter, sums + toStride, x0, x1, x2, x3, y0, y1, y2, y3);
      if (heads > 2) add4(w + CHUNK * 8, quarter, sums + 2 * toStride, x0, x1, x2, x3, y0, y1, y2, y3);
      if (heads > 3) add4(w + CHUNK * 12, quarter, sums + 3 * toStride, x0, x1, x2, x3, y0, y1, y2, y3);
    }
  }
}

// @ts-ignore: decorator
@inline
function anyHeads(dtype: i32, heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize): void {
  if (heads == 4) columns(dtype, 4, values, rowBytes, width, count, weights, to, toStride);
  else if (heads == 3) columns(dtype, 3, values, rowBytes, width, count, weights, to, toStride);
  else if (heads == 2) columns(dtype, 2, values, rowBytes, width, count, weights, to, toStride);
  else columns(dtype, 1, values, rowBytes, width, count, weights, to, toStride);
}

export function columnsBFloat16(heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize): void {
  anyHeads(DType.BF16, heads, values, rowBytes, width, count, weights, to, toStride);
}

export function columnsFloat16(heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize): void {
  anyHeads(DType.F16, heads, values, rowBytes, width, count, weights, to, toStride);
}

export function columnsFloat32(heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize): void {
  anyHeads(DType.F32, heads, values, rowBytes, width, count, weights, to, toStride);
}

/** Puts `width` sums in order: those of even place lie before the odd ones of each eight. */
function reorder(dtype: i32, row: usize, width: i32): void {
  const factor = f32x4.splat(dtype == DType.F16 ? HALF_ROOT : 1);
  for (let at = row; at < row + (<usize>width << 2); at += 32) {
    const even = f32x4.mul(v128.load(at), factor);
    const odd = f32x4.mul(v128.load(at, 16), factor);
    v128.store(at, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
    v128.store(at, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
  }
}

/**
 * to[g] = sum over j < count of weights[g, j] x value[j]; rows of `to` are `toStride` bytes apart. `values` is where the first row is. The weights
 * behind the last are 0, to a multiple of 4. F16: the weights are used up.
 */
export function weighValues(dtype: i32, values: usize, headSize: i32, count: i32, weights: usize, group: i32, to: usize, toStride: usize): void {
  const size = sizeOf(dtype);
  const rowBytes = <usize>(headSize * size);
  const whole = headSize & ~7;
  for (let g = 0; g < group; g++) memory.fill(to + <usize>g * toStride, 0, whole << 2);
  // Halves come as 2^-112 of themselves; half of what mends that goes to the weights, lest the products become subnormal, which is slow.
  if (dtype == DType.F16) for (let g = 0; g < group; g++) scaleRow(weights + <usize>g * (CHUNK * 4), (count + 3) & ~3, HALF_ROOT);
  for (let g = 0; g < group; g += 4) {
    const w = weights + <usize>g * (CHUNK * 4);
    const place = to + <usize>g * toStride;
    const heads = min(4, group - g);
    if (dtype == DType.BF16) columnsBFloat16(heads, values, rowBytes, whole, count, w, place, toStride);
    else if (dtype == DType.F16) columnsFloat16(heads, values, rowBytes, whole, count, w, place, toStride);
    else columnsFloat32(heads, values, rowBytes, whole, count, w, place, toStride);
  }
  if (dtype != DType.F32) for (let g = 0; g < group; g++) reorder(dtype, to + <usize>g * toStride, whole);
  for (let c = whole; c < headSize; c++) {
    for (let g = 0; g < group; g++) {
      let total: f32 = 0;
      for (let j = 0; j < count; j++) {
        total += load<f32>(weights + <usize>g * (CHUNK * 4) + (j << 2)) * load1(dtype, values + <usize>j * rowBytes + c * size);
      }
      store<f32>(to + <usize>g * toStride + (c << 2), dtype == DType.F16 ? total / HALF_ROOT : total);
    }
  }
}
