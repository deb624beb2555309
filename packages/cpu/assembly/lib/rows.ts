import { HALF_ROOT } from "./activations";
import { DType } from "./arguments";
import { dots4, halfBits, upper } from "./dots";
import { load1, sizeOf } from "./half";
import { Turn, unpackKey } from "./keys";
import { madd } from "./math";
import { scaleRow } from "./softmax";

// One query, or the few that share a KV head, over many rows of K and V: bound by reading those, once.

/**
 * logits[g, j] = queries[g] . key[first + j], not yet scaled. Queries are prepared for the dtype (see activations.ts; plain f32 where keys are
 * rotated), `queryBytes` apart; rows of logits are `stride` bytes apart. `keys` is where the head's
 * first row is; `room` is for four keys, four numbers a query and 64 bytes more.
 */
export function products(
  dtype: i32, keys: usize, headSize: i32, first: i32, count: i32, queries: usize, queryBytes: usize, group: i32, logits: usize, stride: usize, room: usize,
): void {
  const last = count - 1;
  const apart = (count + 3) >> 2;
  const turned = room;
  const results = room + (<usize>headSize << 4);
  const rowBytes = <usize>headSize << 2;
  for (let i = 0; i < apart; i++) {
    // Four rows that lie apart are four streams to the memory; where there are too few, the last is taken again.
    const j1 = min(last, i + apart);
    const j2 = min(last, i + 2 * apart);
    const j3 = min(last, i + 3 * apart);
    if (Turn.ranks != 0) {
      unpackKey(dtype, keys, headSize, first + i, turned);
      unpackKey(dtype, keys, headSize, first + j1, turned + rowBytes);
      unpackKey(dtype, keys, headSize, first + j2, turned + 2 * rowBytes);
      unpackKey(dtype, keys, headSize, first + j3, turned + 3 * rowBytes);
    }
    if (Turn.ranks != 0) dots4(DType.F32, turned, 0, headSize, 0, 1, 2, 3, queries, queryBytes, group, results);
    else dots4(dtype, keys, 0, headSize, first + i, first + j1, first + j2, first + j3, queries, queryBytes, group, results);
    for (let g = 0; g < group; g++) {
      const row = logits + <usize>g * stride;
      const dots = results + (<usize>g << 4);
      store<f32>(row + (i << 2), load<f32>(dots));
      store<f32>(row + (j1 << 2), load<f32>(dots, 4));
      store<f32>(row + (j2 << 2), load<f32>(dots, 8));
      store<f32>(row + (j3 << 2), load<f32>(dots, 12));
    }
  }
}

/** What the queries of a group are prepared for. */
export function queryDType(dtype: i32): i32 { return Turn.ranks != 0 ? DType.F32 : dtype; }

/** Even places of eight numbers, then the odd ones. */
// @ts-ignore: decorator
@inline
function firstHalf(dtype: i32, bits: v128, mask: v128): v128 {
  if (dtype == DType.BF16) return i32x4.shl(bits, 16);
  return v128.and(i32x4.shr_s(i32x4.shl(bits, 16), 3), mask);
}

// @ts-ignore: decorator
@inline
function secondHalf(dtype: i32, bits: v128, mask: v128): v128 { return v128.and(dtype == DType.BF16 ? bits : i32x4.shr_s(bits, 3), mask); }

// @ts-ignore: decorator
@inline
function put(dtype: i32, to: usize, low: v128, high: v128): void {
  if (dtype == DType.F32) {
    v128.store(to, low);
    v128.store(to, high, 16);
    return;
  }
  if (dtype == DType.F16) {
    low = f32x4.mul(low, f32x4.splat(HALF_ROOT));
    high = f32x4.mul(high, f32x4.splat(HALF_ROOT));
  }
  v128.store(to, v128.shuffle<f32>(low, high, 0, 4, 1, 5));
  v128.store(to, v128.shuffle<f32>(low, high, 2, 6, 3, 7), 16);
}

/** Eight columns for `heads` (1 to 4) heads: their sums stay in registers while all rows go by. */
// @ts-ignore: decorator
@inline
function columns(dtype: i32, heads: i32, values: usize, rowBytes: usize, count: i32, weights: usize, stride: usize, to: usize, toStride: usize): void {
  const mask = i32x4.splat(dtype == DType.BF16 ? upper : halfBits);
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  const wb = weights + stride;
  const wc = weights + 2 * stride;
  const wd = weights + 3 * stride;
  const last = <usize>count << 2;
  for (let j: usize = 0; j < last; j += 4) {
    let low = v128.load(values);
    let high = low;
    if (dtype == DType.F32) {
      high = v128.load(values, 16);
    } else {
      high = secondHalf(dtype, low, mask);
      low = firstHalf(dtype, low, mask);
    }
    let weight = v128.load32_splat(weights + j);
    a0 = madd(weight, low, a0);
    a1 = madd(weight, high, a1);
    if (heads > 1) {
      weight = v128.load32_splat(wb + j);
      b0 = madd(weight, low, b0);
      b1 = madd(weight, high, b1);
    }
    if (heads > 2) {
      weight = v128.load32_splat(wc + j);
      c0 = madd(weight, low, c0);
      c1 = madd(weight, high, c1);
    }
    if (heads > 3) {
      weight = v128.load32_splat(wd + j);
      d0 = madd(weight, low, d0);
      d1 = madd(weight, high, d1);
    }
    values += rowBytes;
  }
  put(dtype, to, a0, a1);
  if (heads > 1) put(dtype, to + toStride, b0, b1);
  if (heads > 2) put(dtype, to + 2 * toStride, c0, c1);
  if (heads > 3) put(dtype, to + 3 * toStride, d0, d1);
}

// @ts-ignore: decorator
@inline
function anyHeads(dtype: i32, heads: i32, values: usize, rowBytes: usize, count: i32, weights: usize, stride: usize, to: usize, toStride: usize): void {
  if (heads == 4) columns(dtype, 4, values, rowBytes, count, weights, stride, to, toStride);
  else if (heads == 3) columns(dtype, 3, values, rowBytes, count, weights, stride, to, toStride);
  else if (heads == 2) columns(dtype, 2, values, rowBytes, count, weights, stride, to, toStride);
  else columns(dtype, 1, values, rowBytes, count, weights, stride, to, toStride);
}

export function columnsBFloat16(heads: i32, values: usize, rowBytes: usize, count: i32, weights: usize, stride: usize, to: usize, toStride: usize): void {
  anyHeads(DType.BF16, heads, values, rowBytes, count, weights, stride, to, toStride);
}

export function columnsFloat16(heads: i32, values: usize, rowBytes: usize, count: i32, weights: usize, stride: usize, to: usize, toStride: usize): void {
  anyHeads(DType.F16, heads, values, rowBytes, count, weights, stride, to, toStride);
}

export function columnsFloat32(heads: i32, values: usize, rowBytes: usize, count: i32, weights: usize, stride: usize, to: usize, toStride: usize): void {
  anyHeads(DType.F32, heads, values, rowBytes, count, weights, stride, to, toStride);
}

/**
 * to[g] = sum over j < count of weights[g, j] x value[j], ascending; rows of weights are `stride` bytes apart, those of `to` `toStride`.
 * `values` is where the first row is.
 * F16: the weights are used up.
 */
export function weighValues(
  dtype: i32, values: usize, headSize: i32, count: i32, weights: usize, stride: usize, group: i32, to: usize, toStride: usize,
): void {
  const size = sizeOf(dtype);
  const rowBytes = <usize>(headSize * size);
  const whole = headSize & ~7;
  // Halves come as 2^-112 of themselves; half of what mends that goes to the weights, lest the products become subnormal, which is slow.
  if (dtype == DType.F16) for (let g = 0; g < group; g++) scaleRow(weights + <usize>g * stride, (count + 3) & ~3, HALF_ROOT);
  for (let c = 0; c < whole; c += 8) {
    const at = values + c * size;
    for (let g = 0; g < group; g += 4) {
      const w = weights + <usize>g * stride;
      const place = to + <usize>g * toStride + (c << 2);
      const heads = min(4, group - g);
      if (dtype == DType.BF16) columnsBFloat16(heads, at, rowBytes, count, w, stride, place, toStride);
      else if (dtype == DType.F16) columnsFloat16(heads, at, rowBytes, count, w, stride, place, toStride);
      else columnsFloat32(heads, at, rowBytes, count, w, stride, place, toStride);
    }
  }
  for (let c = whole; c < headSize; c++) {
    for (let g = 0; g < group; g++) {
      let total: f32 = 0;
      for (let j = 0; j < count; j++) {
        total += load<f32>(weights + <usize>g * stride + (j << 2)) * load1(dtype, values + <usize>j * rowBytes + c * size);
      }
      store<f32>(to + <usize>g * toStride + (c << 2), dtype == DType.F16 ? total / HALF_ROOT : total);
    }
  }
}
