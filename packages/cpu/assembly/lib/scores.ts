import { HALF_ROOT } from "./activations";
import { PREFETCH_BYTES, prefetchNext } from "./prefetch";
import { DType } from "./arguments";
import { halfBits, upper } from "./dots";
import { evens, odds, sizeOf } from "./half";
import { Turn, unpackKey } from "./keys";
import { madd2 } from "./math";
import { queryBytes } from "./products";
import { CHUNK } from "./weigh";

// The products of one token's queries that share a KV head, with a chunk of its keys. Two rows and up to four queries
// at a time keep their sums in registers, and each key is unpacked once for all of them.

/** Sums lanes 0 and 2, then 1 and 3: of `a` in the first half of the result, of `b` in the second. */
// @ts-ignore: decorator
@inline
function fold(a: v128, b: v128): v128 {
  return f32x4.add(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
}

/**
 * Two rows: half-folded products of the queries at `to`, 16 bytes each. Sums are stored at `order` as they grow, which
 * costs nothing: V8 computes sums as late as possible, and without a store it would load all queries first and spill
 * the sums.
 */
// @ts-ignore: decorator
@inline
function pair(dtype: i32, heads: i32, k: usize, rowBytes: usize, q: usize, to: usize, order: usize, mask: v128): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  const other = k + rowBytes;
  for (let at: usize = 0; at < rowBytes; at += dtype == DType.F32 ? 32 : 16) {
    let x0 = v128.load(k + at);
    let x1 = v128.load(other + at);
    let y0 = x0;
    let y1 = x1;
    if (dtype == DType.F32) {
      y0 = v128.load(k + at, 16);
      y1 = v128.load(other + at, 16);
    } else {
      y0 = odds(dtype, x0, mask);
      y1 = odds(dtype, x1, mask);
      x0 = evens(dtype, x0, mask);
      x1 = evens(dtype, x1, mask);
    }
    let u = x0;
    let v = x0;
    if (heads > 3) {
      u = v128.load(q, 96);
      v = v128.load(q, 112);
      d0 = madd2(u, x0, v, y0, d0);
      d1 = madd2(u, x1, v, y1, d1);
      v128.store(order, d0, 64);
      v128.store(order, d1, 80);
    }
    if (heads > 2) {
      u = v128.load(q, 64);
      v = v128.load(q, 80);
      c0 = madd2(u, x0, v, y0, c0);
      c1 = madd2(u, x1, v, y1, c1);
      v128.store(order, c0, 32);
      v128.store(order, c1, 48);
    }
    if (heads > 1) {
      u = v128.load(q, 32);
      v = v128.load(q, 48);
      b0 = madd2(u, x0, v, y0, b0);
      b1 = madd2(u, x1, v, y1, b1);
      v128.store(order, b0);
      v128.store(order, b1, 16);
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

/** The products of one query with four rows, of which two pairs' sums are at `from` and 64 bytes on. */
// @ts-ignore: decorator
@inline
function finish(dtype: i32, from: usize, to: usize): void {
  const a = v128.load(from);
  const b = v128.load(from, 64);
  const dots = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  v128.store(to, dtype == DType.F16 ? f32x4.mul(dots, f32x4.splat(HALF_ROOT)) : dots);
}

/** Products of `count` rows, a multiple of 4, with `heads` (1 to 4) queries. */
// @ts-ignore: decorator
@inline
function fours(
  dtype: i32, heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, room: usize,
): void {
  const mask = i32x4.splat(dtype == DType.BF16 ? upper : halfBits);
  for (const end = logits + (<usize>count << 2); logits < end; logits += 16, keys += rowBytes << 2) {
    for (let n: usize = 0; n < rowBytes << 2; n += PREFETCH_BYTES) prefetchNext();
    pair(dtype, heads, keys, rowBytes, queries, room, room + 128, mask);
    pair(dtype, heads, keys + (rowBytes << 1), rowBytes, queries, room + 64, room + 128, mask);
    finish(dtype, room, logits);
    if (heads > 1) finish(dtype, room + 16, logits + CHUNK * 4);
    if (heads > 2) finish(dtype, room + 32, logits + CHUNK * 8);
    if (heads > 3) finish(dtype, room + 48, logits + CHUNK * 12);
  }
}

// @ts-ignore: decorator
@inline
function anyHeads(
  dtype: i32, heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, room: usize,
): void {
  if (heads == 4) fours(dtype, 4, keys, rowBytes, count, queries, logits, room);
  else if (heads == 3) fours(dtype, 3, keys, rowBytes, count, queries, logits, room);
  else if (heads == 2) fours(dtype, 2, keys, rowBytes, count, queries, logits, room);
  else fours(dtype, 1, keys, rowBytes, count, queries, logits, room);
}

export function scoresBFloat16(
  heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, room: usize,
): void {
  anyHeads(DType.BF16, heads, keys, rowBytes, count, queries, logits, room);
}

export function scoresFloat16(
  heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, room: usize,
): void {
  anyHeads(DType.F16, heads, keys, rowBytes, count, queries, logits, room);
}

export function scoresFloat32(
  heads: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, logits: usize, room: usize,
): void {
  anyHeads(DType.F32, heads, keys, rowBytes, count, queries, logits, room);
}

function groups(
  dtype: i32, headSize: i32, keys: usize, rowBytes: usize, count: i32, queries: usize, group: i32, logits: usize,
  room: usize,
): void {
  for (let g = 0; g < group; g += 4) {
    const heads = min(4, group - g);
    const q = queries + <usize>g * queryBytes(headSize);
    const to = logits + <usize>g * (CHUNK * 4);
    if (dtype == DType.BF16) scoresBFloat16(heads, keys, rowBytes, count, q, to, room);
    else if (dtype == DType.F16) scoresFloat16(heads, keys, rowBytes, count, q, to, room);
    else scoresFloat32(heads, keys, rowBytes, count, q, to, room);
  }
}

/**
 * logits[g, j] = queries[g] . key[first + j]. Rows of logits are CHUNK numbers apart, and up to three more numbers are
 * written behind each. `keys` is the address of the head's first row, `queries` what `prepareQueries` wrote. `room`
 * holds 256 bytes and four queries.
 */
export function scores(
  dtype: i32, keys: usize, headSize: i32, first: i32, count: i32, queries: usize, group: i32, logits: usize,
  room: usize,
): void {
  const four = room + 256;
  if (Turn.ranks != 0 || (headSize & 7) != 0) {
    const bytes = queryBytes(headSize);
    memory.fill(four, 0, 4 * bytes);
    for (let j = 0; j < count; j += 4) {
      for (let r = 0; r < min(4, count - j); r++) {
        unpackKey(dtype, keys, headSize, first + j + r, four + <usize>r * bytes);
      }
      groups(DType.F32, headSize, four, bytes, 4, queries, group, logits + (j << 2), room);
    }
    return;
  }
  const bytes = <usize>(headSize * sizeOf(dtype));
  const rows = keys + <usize>first * bytes;
  const whole = count & ~3;
  groups(dtype, headSize, rows, bytes, whole, queries, group, logits, room);
  if (whole == count) return;
  memory.copy(four, rows + <usize>whole * bytes, <usize>(count - whole) * bytes);
  groups(dtype, headSize, four, bytes, 4, queries, group, logits + (whole << 2), room);
}
