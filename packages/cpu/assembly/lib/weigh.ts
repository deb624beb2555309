import { HALF_ROOT } from "./activations";
import { PREFETCH_BYTES, prefetchNext } from "./prefetch";
import { DType } from "./arguments";
import { halfBits, upper } from "./dots";
import { evens, load1, odds, sizeOf } from "./half";
import { madd } from "./math";
import { scaleRow } from "./softmax";

// Sums of rows of values, weighted for the few query heads that share them.

/** The most rows of values that are weighted at once; rows of weights are as many numbers apart. */
export const CHUNK = 512;

const BLOCK: usize = 32; // Rows that stay near while their columns are added up, eight at a time.

/**
 * Adds weights x values to `heads` (1 to 4) rows of sums. With 16 bits, each eight sums hold those of even place before
 * those of odd place.
 */
// @ts-ignore: decorator
@inline
function columns(
  dtype: i32, heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize,
  toStride: usize,
): void {
  const mask = i32x4.splat(dtype == DType.BF16 ? upper : halfBits);
  const step: usize = dtype == DType.F32 ? 32 : 16;
  const last = to + (<usize>width << 2);
  const final = values + <usize>count * rowBytes;
  for (; values < final; values += BLOCK * rowBytes, weights += BLOCK * 4) {
    const end = min(values + BLOCK * rowBytes, final);
    let from = values;
    for (let sums = to; sums < last; sums += 32, from += step) {
      for (let n: usize = 0; n < BLOCK * step; n += PREFETCH_BYTES) prefetchNext();
      let a = v128.load(sums);
      let b = v128.load(sums, 16);
      let c = a;
      let d = b;
      let e = a;
      let f = b;
      let g = a;
      let h = b;
      if (heads > 1) {
        c = v128.load(sums + toStride);
        d = v128.load(sums + toStride, 16);
      }
      if (heads > 2) {
        e = v128.load(sums + 2 * toStride);
        f = v128.load(sums + 2 * toStride, 16);
      }
      if (heads > 3) {
        g = v128.load(sums + 3 * toStride);
        h = v128.load(sums + 3 * toStride, 16);
      }
      let w = weights;
      for (let v = from; v < end; v += rowBytes, w += 4) {
        let x = v128.load(v);
        let y = x;
        if (dtype == DType.F32) y = v128.load(v, 16);
        else {
          y = odds(dtype, x, mask);
          x = evens(dtype, x, mask);
        }
        let p = v128.load32_splat(w);
        a = madd(p, x, a);
        b = madd(p, y, b);
        if (heads > 1) {
          p = v128.load32_splat(w, CHUNK * 4);
          c = madd(p, x, c);
          d = madd(p, y, d);
        }
        if (heads > 2) {
          p = v128.load32_splat(w, CHUNK * 8);
          e = madd(p, x, e);
          f = madd(p, y, f);
        }
        if (heads > 3) {
          p = v128.load32_splat(w, CHUNK * 12);
          g = madd(p, x, g);
          h = madd(p, y, h);
        }
      }
      v128.store(sums, a);
      v128.store(sums, b, 16);
      if (heads > 1) {
        v128.store(sums + toStride, c);
        v128.store(sums + toStride, d, 16);
      }
      if (heads > 2) {
        v128.store(sums + 2 * toStride, e);
        v128.store(sums + 2 * toStride, f, 16);
      }
      if (heads > 3) {
        v128.store(sums + 3 * toStride, g);
        v128.store(sums + 3 * toStride, h, 16);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function anyHeads(
  dtype: i32, heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize,
  toStride: usize,
): void {
  if (heads == 4) columns(dtype, 4, values, rowBytes, width, count, weights, to, toStride);
  else if (heads == 3) columns(dtype, 3, values, rowBytes, width, count, weights, to, toStride);
  else if (heads == 2) columns(dtype, 2, values, rowBytes, width, count, weights, to, toStride);
  else columns(dtype, 1, values, rowBytes, width, count, weights, to, toStride);
}

export function columnsBFloat16(
  heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize,
): void {
  anyHeads(DType.BF16, heads, values, rowBytes, width, count, weights, to, toStride);
}

export function columnsFloat16(
  heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize,
): void {
  anyHeads(DType.F16, heads, values, rowBytes, width, count, weights, to, toStride);
}

export function columnsFloat32(
  heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize,
): void {
  anyHeads(DType.F32, heads, values, rowBytes, width, count, weights, to, toStride);
}

/** Puts `width` sums in order; in each eight, those of even place come first. */
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
 * to[g] = sum over j < count of weights[g, j] x value[j]. Rows of `to` are `toStride` bytes apart. `values` is the
 * address of the first row. With F16, the weights are overwritten.
 */
export function weighValues(
  dtype: i32, values: usize, headSize: i32, count: i32, weights: usize, group: i32, to: usize, toStride: usize,
): void {
  const size = sizeOf(dtype);
  const rowBytes = <usize>(headSize * size);
  const whole = headSize & ~7;
  for (let g = 0; g < group; g++) memory.fill(to + <usize>g * toStride, 0, whole << 2);
  // Halves are 2^-112 times their value. Half of the correcting factor goes into the weights, so that products do not
  // become subnormal, which is slow.
  if (dtype == DType.F16) {
    for (let g = 0; g < group; g++) scaleRow(weights + <usize>g * (CHUNK * 4), (count + 3) & ~3, HALF_ROOT);
  }
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
        total += load<f32>(weights + <usize>g * (CHUNK * 4) + (j << 2))
          * load1(dtype, values + <usize>j * rowBytes + c * size);
      }
      store<f32>(to + <usize>g * toStride + (c << 2), dtype == DType.F16 ? total / HALF_ROOT : total);
    }
  }
}
