import { HALF_ROOT } from "./activations";
import { DType } from "./arguments";
import { evens, odds } from "./half";
import { madd } from "./math";

// Four rows of weights times a few rows of activations (see activations.ts). The four are far apart, so that memory is
// read as four streams; for the second row of activations they are in cache.

// @ts-ignore: decorator
@inline
export function store4(out: usize, s0: v128, s1: v128, s2: v128, s3: v128): void {
  const low01 = v128.shuffle<f32>(s0, s1, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(s0, s1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(s2, s3, 0, 4, 1, 5);
  const high23 = v128.shuffle<f32>(s2, s3, 2, 6, 3, 7);
  const a = f32x4.add(v128.shuffle<f32>(low01, low23, 0, 1, 4, 5), v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  const b = f32x4.add(v128.shuffle<f32>(high01, high23, 0, 1, 4, 5), v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
  v128.store(out, f32x4.add(a, b));
}

// @ts-ignore: decorator
@inline
function scalar(w: usize, x: usize, from: i32, width: i32): f32 {
  let total: f32 = 0;
  for (let i = from; i < width; i++) total += load<f32>(w + (i << 2)) * load<f32>(x + (i << 2));
  return total;
}

export function dots32(
  matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize,
): void {
  const row = <usize>width << 2;
  const w0 = matrix + <usize>r0 * row;
  const w1 = matrix + <usize>r1 * row;
  const w2 = matrix + <usize>r2 * row;
  const w3 = matrix + <usize>r3 * row;
  const whole = width & ~3;
  for (let i = 0; i < count; i++, x += xBytes, to += 16) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let at: usize = 0; at < <usize>whole << 2; at += 16) {
      const v = v128.load(x + at);
      s0 = madd(v, v128.load(w0 + at), s0);
      s1 = madd(v, v128.load(w1 + at), s1);
      s2 = madd(v, v128.load(w2 + at), s2);
      s3 = madd(v, v128.load(w3 + at), s3);
    }
    store4(to, s0, s1, s2, s3);
    if (whole == width) continue;
    store<f32>(to, load<f32>(to) + scalar(w0, x, whole, width));
    store<f32>(to, load<f32>(to, 4) + scalar(w1, x, whole, width), 4);
    store<f32>(to, load<f32>(to, 8) + scalar(w2, x, whole, width), 8);
    store<f32>(to, load<f32>(to, 12) + scalar(w3, x, whole, width), 12);
  }
}

// Masks are variables, because V8 recreates a constant vector at each use, also in loops.
export let upper: u32 = 0xffff0000;
export let halfBits: u32 = 0x8fffe000;
export let lowNibble: i32 = 15;
export let highNibble: i32 = 240;

export function setMasks(): void {
  upper = 0xffff0000;
  halfBits = 0x8fffe000;
  lowNibble = 15;
  highNibble = 240;
}

// @ts-ignore: decorator
@inline
function dots16(
  dtype: i32, matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32,
  to: usize,
): void {
  const mask = i32x4.splat(dtype == DType.F16 ? halfBits : upper);
  const row = <usize>width << 1;
  const w0 = matrix + <usize>r0 * row;
  const w1 = matrix + <usize>r1 * row;
  const w2 = matrix + <usize>r2 * row;
  const w3 = matrix + <usize>r3 * row;
  const whole = <usize>(width & ~7) << 1;
  for (let i = 0; i < count; i++, x += xBytes, to += 16) {
    let v = x;
    // Two sums per row, because with one each multiply-add would wait for the one before.
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let t0 = s0;
    let t1 = s0;
    let t2 = s0;
    let t3 = s0;
    for (let at: usize = 0; at < whole; at += 16, v += 32) {
      const even = v128.load(v);
      const odd = v128.load(v, 16);
      let bits = v128.load(w0 + at);
      s0 = madd(evens(dtype, bits, mask), even, s0);
      t0 = madd(odds(dtype, bits, mask), odd, t0);
      bits = v128.load(w1 + at);
      s1 = madd(evens(dtype, bits, mask), even, s1);
      t1 = madd(odds(dtype, bits, mask), odd, t1);
      bits = v128.load(w2 + at);
      s2 = madd(evens(dtype, bits, mask), even, s2);
      t2 = madd(odds(dtype, bits, mask), odd, t2);
      bits = v128.load(w3 + at);
      s3 = madd(evens(dtype, bits, mask), even, s3);
      t3 = madd(odds(dtype, bits, mask), odd, t3);
    }
    if (whole < row) {
      const even = v128.load(v);
      const odd = v128.load(v, 16);
      let bits = rest(w0 + whole, row - whole);
      s0 = madd(odds(dtype, bits, mask), odd, madd(evens(dtype, bits, mask), even, s0));
      bits = rest(w1 + whole, row - whole);
      s1 = madd(odds(dtype, bits, mask), odd, madd(evens(dtype, bits, mask), even, s1));
      bits = rest(w2 + whole, row - whole);
      s2 = madd(odds(dtype, bits, mask), odd, madd(evens(dtype, bits, mask), even, s2));
      bits = rest(w3 + whole, row - whole);
      s3 = madd(odds(dtype, bits, mask), odd, madd(evens(dtype, bits, mask), even, s3));
    }
    store4(to, f32x4.add(s0, t0), f32x4.add(s1, t1), f32x4.add(s2, t2), f32x4.add(s3, t3));
    if (dtype == DType.F16) v128.store(to, f32x4.mul(v128.load(to), f32x4.splat(HALF_ROOT)));
  }
}

export function dotsBFloat16(
  matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize,
): void {
  dots16(DType.BF16, matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
}

export function dotsFloat16(
  matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize,
): void {
  dots16(DType.F16, matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
}

/** The last 2 to 14 bytes of a row, then zeros. */
// @ts-ignore: decorator
@inline
function rest(from: usize, bytes: usize): v128 {
  let low: u64 = 0;
  let high: u64 = 0;
  for (let i: usize = 0; i < bytes; i += 2) {
    const bits = <u64>load<u16>(from + i);
    if (i < 8) low |= bits << (i << 3);
    else high |= bits << ((i - 8) << 3);
  }
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}
