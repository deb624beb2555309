import { HALF_ROOT } from "./activations";
import { DType } from "./arguments";
import { halfBits, upper } from "./dots";
import { evens, load1, odds, sizeOf } from "./half";
import { madd2 } from "./math";
import { scaleRow } from "./softmax";
import { touch } from "./touch";

// Rows of values, weighted for the few query heads that share them.

/** Rows of values that are weighted at once; rows of weights lie as many numbers apart. */
export const CHUNK = 256;

const ROWS = 16; // Rows that are walked down by columns: few enough that memory is still read in order.

/** Adds weights x values to `heads` (1 to 4) rows of sums, eight columns at a time. 16 bits: the four of even place, then the odd ones. */
// @ts-ignore: decorator
@inline
function columns(dtype: i32, heads: i32, values: usize, rowBytes: usize, width: i32, count: i32, weights: usize, to: usize, toStride: usize): void {
  const mask = i32x4.splat(dtype == DType.BF16 ? upper : halfBits);
  const toB = to + toStride;
  const toC = toB + toStride;
  const toD = toC + toStride;
  for (let j = 0; j < count; j += ROWS) {
    const end = weights + (<usize>min(count, j + ROWS) << 2);
    let column = values + <usize>j * rowBytes;
    for (let c: usize = 0; c < <usize>width << 2; c += 32) {
      let a0 = v128.load(to + c);
      let a1 = v128.load(to + c, 16);
      let b0 = a0;
      let b1 = a0;
      let c0 = a0;
      let c1 = a0;
      let d0 = a0;
      let d1 = a0;
      if (heads > 1) {
        b0 = v128.load(toB + c);
        b1 = v128.load(toB + c, 16);
      }
      if (heads > 2) {
        c0 = v128.load(toC + c);
        c1 = v128.load(toC + c, 16);
      }
      if (heads > 3) {
        d0 = v128.load(toD + c);
        d1 = v128.load(toD + c, 16);
      }
      let at = column;
      for (let w = weights + (j << 2); w < end; w += 8) {
        let x0 = v128.load(at);
        let y0 = x0;
        if (dtype == DType.F32) y0 = v128.load(at, 16);
        // Where the last row has no fellow it is taken again; the weight behind the last is 0.
        at += w + 4 < end ? rowBytes : 0;
        let x1 = v128.load(at);
        let y1 = x1;
        if (dtype == DType.F32) {
          y1 = v128.load(at, 16);
        } else {
          y0 = odds(dtype, x0, mask);
          y1 = odds(dtype, x1, mask);
          x0 = evens(dtype, x0, mask);
          x1 = evens(dtype, x1, mask);
        }
        at += rowBytes;
        // Last head first: see products.ts.
        let u = x0;
        let v = x0;
        if (heads > 3) {
          u = v128.load32_splat(w, CHUNK * 12);
          v = v128.load32_splat(w, CHUNK * 12 + 4);
          d0 = madd2(u, x0, v, x1, d0);
          d1 = madd2(u, y0, v, y1, d1);
        }
        if (heads > 2) {
          u = v128.load32_splat(w, CHUNK * 8);
          v = v128.load32_splat(w, CHUNK * 8 + 4);
          c0 = madd2(u, x0, v, x1, c0);
          c1 = madd2(u, y0, v, y1, c1);
        }
        if (heads > 1) {
          u = v128.load32_splat(w, CHUNK * 4);
          v = v128.load32_splat(w, CHUNK * 4 + 4);
          b0 = madd2(u, x0, v, x1, b0);
          b1 = madd2(u, y0, v, y1, b1);
        }
        u = v128.load32_splat(w);
        v = v128.load32_splat(w, 4);
        a0 = madd2(u, x0, v, x1, a0);
        a1 = madd2(u, y0, v, y1, a1);
      }
      v128.store(to + c, a0);
      v128.store(to + c, a1, 16);
      if (heads > 1) {
        v128.store(toB + c, b0);
        v128.store(toB + c, b1, 16);
      }
      if (heads > 2) {
        v128.store(toC + c, c0);
        v128.store(toC + c, c1, 16);
      }
      if (heads > 3) {
        v128.store(toD + c, d0);
        v128.store(toD + c, d1, 16);
      }
      column += dtype == DType.F32 ? 32 : 16;
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
  for (let j = 0; j < count; j += 4 * ROWS) {
    const at = values + <usize>j * rowBytes;
    const rows = min(4 * ROWS, count - j);
    touch(at, <usize>rows * rowBytes);
    for (let g = 0; g < group; g += 4) {
      const w = weights + <usize>g * (CHUNK * 4) + (j << 2);
      const place = to + <usize>g * toStride;
      const heads = min(4, group - g);
      if (dtype == DType.BF16) columnsBFloat16(heads, at, rowBytes, whole, rows, w, place, toStride);
      else if (dtype == DType.F16) columnsFloat16(heads, at, rowBytes, whole, rows, w, place, toStride);
      else columnsFloat32(heads, at, rowBytes, whole, rows, w, place, toStride);
    }
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
