import { HALF_ROOT, prepareActivations } from "./activations";
import { DType } from "./arguments";
import { halfBits, upper } from "./dots";
import { evens, odds, sizeOf } from "./half";
import { Turn, unpackKey } from "./keys";
import { madd2 } from "./math";

// The few queries that share a KV head, times many rows of its keys. The speed is that of reading the keys, once. Two
// rows and up to four queries at a time keep their sums in registers, and each key is unpacked once for all of them.
// Keys that must be rotated, or whose size is no multiple of 8, are unpacked first.

const ROWS = 256; // Rows that more than four queries share while they are in cache.

// @ts-ignore: decorator
@inline
function unpacked(headSize: i32): bool { return Turn.ranks != 0 || (headSize & 7) != 0; }

/** Bytes of one query made ready. */
// @ts-ignore: decorator
@inline
export function queryBytes(headSize: i32): usize { return <usize>((headSize + 7) & ~7) << 2; }

/**
 * Prepares queries for `products`: `group` rows of `headSize` numbers for each of `tokens`, `tokenBytes` from one token
 * to the next. Groups of four are interleaved by eight numbers. `room` holds one row.
 */
export function prepareQueries(
  dtype: i32, q: usize, headSize: i32, group: i32, tokens: i32, tokenBytes: usize, to: usize, room: usize,
): void {
  const bytes = queryBytes(headSize);
  const count = group * tokens;
  const kind = unpacked(headSize) ? DType.F32 : dtype;
  memory.fill(room, 0, bytes);
  for (let n = 0; n < count; n++) {
    prepareActivations(kind, q + <usize>(n / group) * tokenBytes + (<usize>((n % group) * headSize) << 2),
      headSize, room);
    const first = n & ~3;
    const step = <usize>min(4, count - first) << 5;
    let place = to + <usize>first * bytes + (<usize>(n & 3) << 5);
    for (let at = room; at < room + bytes; at += 32, place += step) {
      v128.store(place, v128.load(at));
      v128.store(place, v128.load(at, 16), 16);
    }
  }
}

/** Sums lanes 0 and 2, then 1 and 3: of `a` in the first half of the result, of `b` in the second. */
// @ts-ignore: decorator
@inline
function fold(a: v128, b: v128): v128 {
  return f32x4.add(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
}

/**
 * Products of `count` rows with `heads` (1 to 4) queries. Rows are taken four at a time, a quarter of all apart, so
 * that memory is read as four streams. The last row may be taken again: as many logits are written as four quarters
 * have rows. `room` holds 128 bytes.
 */
// @ts-ignore: decorator
@inline
function rows(
  dtype: i32, heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, stride: usize,
  room: usize,
): void {
  const mask = i32x4.splat(dtype == DType.BF16 ? upper : halfBits);
  const final = keys + <usize>(count - 1) * rowBytes;
  const quarter = <usize>((count + 3) >> 2);
  const apart = quarter * rowBytes;
  let first = keys;
  for (let j: usize = 0; j < quarter; j++) {
    let row = first;
    first += rowBytes;
    for (let to = room; to < room + 128; to += 64) {
      let k = min(row, final);
      const other = min(k + apart, final) - k;
      row += 2 * apart;
      let q = queries;
      let a0 = f32x4.splat(0);
      let a1 = a0;
      let b0 = a0;
      let b1 = a0;
      let c0 = a0;
      let c1 = a0;
      let d0 = a0;
      let d1 = a0;
      const end = k + rowBytes;
      while (k < end) {
        let x0 = v128.load(k);
        let x1 = v128.load(k + other);
        let y0 = x0;
        let y1 = x1;
        if (dtype == DType.F32) {
          y0 = v128.load(k, 16);
          y1 = v128.load(k + other, 16);
          k += 32;
        } else {
          y0 = odds(dtype, x0, mask);
          y1 = odds(dtype, x1, mask);
          x0 = evens(dtype, x0, mask);
          x1 = evens(dtype, x1, mask);
          k += 16;
        }
        // The last head first: V8 sums them in this order, and would otherwise load everything before, and spill sums.
        let u = x0;
        let v = x0;
        if (heads > 3) {
          u = v128.load(q, 96);
          v = v128.load(q, 112);
          d0 = madd2(u, x0, v, y0, d0);
          d1 = madd2(u, x1, v, y1, d1);
        }
        if (heads > 2) {
          u = v128.load(q, 64);
          v = v128.load(q, 80);
          c0 = madd2(u, x0, v, y0, c0);
          c1 = madd2(u, x1, v, y1, c1);
        }
        if (heads > 1) {
          u = v128.load(q, 32);
          v = v128.load(q, 48);
          b0 = madd2(u, x0, v, y0, b0);
          b1 = madd2(u, x1, v, y1, b1);
        }
        u = v128.load(q);
        v = v128.load(q, 16);
        a0 = madd2(u, x0, v, y0, a0);
        a1 = madd2(u, x1, v, y1, a1);
        q += <usize>heads << 5;
      }
      v128.store(to, fold(a0, a1));
      if (heads > 1) v128.store(to, fold(b0, b1), 16);
      if (heads > 2) v128.store(to, fold(c0, c1), 32);
      if (heads > 3) v128.store(to, fold(d0, d1), 48);
    }
    let target = logits + (j << 2);
    const lane1 = quarter << 2;
    const lane2 = quarter << 3;
    const lane3 = lane1 + lane2;
    for (let from = room; from < room + (<usize>heads << 4); from += 16, target += stride) {
      const a = v128.load(from);
      const b = v128.load(from, 64);
      let dots = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
      if (dtype == DType.F16) dots = f32x4.mul(dots, f32x4.splat(HALF_ROOT));
      v128.store32_lane(target, dots, 0);
      v128.store32_lane(target + lane1, dots, 1);
      v128.store32_lane(target + lane2, dots, 2);
      v128.store32_lane(target + lane3, dots, 3);
    }
  }
}

// @ts-ignore: decorator
@inline
function anyHeads(
  dtype: i32, heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, stride: usize,
  room: usize,
): void {
  if (heads == 4) rows(dtype, 4, keys, rowBytes, count, queries, logits, stride, room);
  else if (heads == 3) rows(dtype, 3, keys, rowBytes, count, queries, logits, stride, room);
  else if (heads == 2) rows(dtype, 2, keys, rowBytes, count, queries, logits, stride, room);
  else rows(dtype, 1, keys, rowBytes, count, queries, logits, stride, room);
}

export function rowsBFloat16(
  heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, stride: usize, room: usize,
): void {
  anyHeads(DType.BF16, heads, keys, rowBytes, count, queries, logits, stride, room);
}

export function rowsFloat16(
  heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, stride: usize, room: usize,
): void {
  anyHeads(DType.F16, heads, keys, rowBytes, count, queries, logits, stride, room);
}

export function rowsFloat32(
  heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, stride: usize, room: usize,
): void {
  anyHeads(DType.F32, heads, keys, rowBytes, count, queries, logits, stride, room);
}

function groups(
  dtype: i32, headSize: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, group: i32, logits: usize,
  stride: usize, room: usize,
): void {
  for (let g = 0; g < group; g += 4) {
    const heads = min(4, group - g);
    const q = queries + <usize>g * queryBytes(headSize);
    const to = logits + <usize>g * stride;
    if (dtype == DType.BF16) rowsBFloat16(heads, keys, rowBytes, count, q, to, stride, room);
    else if (dtype == DType.F16) rowsFloat16(heads, keys, rowBytes, count, q, to, stride, room);
    else rowsFloat32(heads, keys, rowBytes, count, q, to, stride, room);
  }
}

/**
 * logits[g, j] = queries[g] . key[first + j], not scaled. Rows of logits are `stride` bytes apart, and up to three more
 * numbers are written behind each. `keys` is the address of the head's first row. `room` holds four queries and 128
 * bytes.
 */
export function products(
  dtype: i32, keys: usize, headSize: i32, first: i32, count: i32, queries: usize, group: i32, logits: usize,
  stride: usize, room: usize,
): void {
  if (unpacked(headSize)) {
    const bytes = queryBytes(headSize);
    const rows = room + 128;
    memory.fill(rows, 0, 4 * bytes);
    for (let j = 0; j < count; j += 4) {
      const four = min(4, count - j);
      for (let r = 0; r < four; r++) unpackKey(dtype, keys, headSize, first + j + r, rows + <usize>r * bytes);
      groups(DType.F32, headSize, rows, bytes, four, queries, group, logits + (j << 2), stride, room);
    }
    return;
  }
  const bytes = <usize>(headSize * sizeOf(dtype));
  for (let j = 0; j < count; j += ROWS) {
    groups(dtype, headSize, keys + <usize>(first + j) * bytes, bytes, min(ROWS, count - j), queries, group,
      logits + (j << 2), stride, room);
  }
}
