import { HALF_FACTOR, HALF_ROOT, scaleBytes } from "./activations";
import { DType } from "./arguments";
import { evens, odds } from "./half";
import { madd, sum } from "./math";
import { minimumsOf, scalesOf } from "./weights";

// Four rows of weights times a few rows of activations (see activations.ts). The four lie apart, so that memory is read as four streams; for the second
// row of activations they are in cache.

/** A half shifted into place in each lane of what was loaded with its sign: times 2^112 it is the number. */
// @ts-ignore: decorator
@inline
export function shifted(bits: v128): v128 { return v128.and(i32x4.shl(bits, 13), i32x4.splat(halfBits)); }

// @ts-ignore: decorator
@inline
function store4(out: usize, s0: v128, s1: v128, s2: v128, s3: v128): void {
  const low01 = v128.shuffle<f32>(s0, s1, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(s0, s1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(s2, s3, 0, 4, 1, 5);
  const high23 = v128.shuffle<f32>(s2, s3, 2, 6, 3, 7);
  const a = f32x4.add(v128.shuffle<f32>(low01, low23, 0, 1, 4, 5), v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  const b = f32x4.add(v128.shuffle<f32>(high01, high23, 0, 1, 4, 5), v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
  v128.store(out, f32x4.add(a, b));
}

/**
 * to[i, 0..4) = rows r0..r3 of weights . row i of `count` rows of activations, `xBytes` apart. 64 bytes behind are used as well.
 * The kernels for each dtype are functions of their own: in one that holds them all V8 allocates registers badly.
 */
export function dots4(
  dtype: i32, matrix: usize, out: i32, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize,
): void {
  switch (dtype) {
    case DType.F32: return dots32(matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
    case DType.BF16: return dotsBFloat16(matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
    case DType.F16: return dotsFloat16(matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
    case DType.Q8_0: return dots8(matrix, out, width, r0, r1, r2, r3, x, xBytes, count, to);
    default: return dots4Bits(dtype, matrix, out, width, r0, r1, r2, r3, x, xBytes, count, to);
  }
}

// @ts-ignore: decorator
@inline
function scalar(w: usize, x: usize, from: i32, width: i32): f32 {
  let total: f32 = 0;
  for (let i = from; i < width; i++) total += load<f32>(w + (i << 2)) * load<f32>(x + (i << 2));
  return total;
}

export function dots32(matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize): void {
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

// Masks are read from variables: V8 makes a constant vector anew wherever it is used, in loops too.
export let upper: u32 = 0xffff0000;
export let halfBits: u32 = 0x8fffe000;
let lowNibble: i32 = 15;
let highNibble: i32 = 240;

export function setMasks(): void {
  upper = 0xffff0000;
  halfBits = 0x8fffe000;
  lowNibble = 15;
  highNibble = 240;
}

// @ts-ignore: decorator
@inline
function dots16(dtype: i32, matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize): void {
  const mask = i32x4.splat(dtype == DType.F16 ? halfBits : upper);
  const row = <usize>width << 1;
  const w0 = matrix + <usize>r0 * row;
  const w1 = matrix + <usize>r1 * row;
  const w2 = matrix + <usize>r2 * row;
  const w3 = matrix + <usize>r3 * row;
  const whole = <usize>(width & ~7) << 1;
  for (let i = 0; i < count; i++, x += xBytes, to += 16) {
    let v = x;
    // Two sums a row: one would have each multiply-add wait for the one before.
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

export function dotsBFloat16(matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize): void {
  dots16(DType.BF16, matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
}

export function dotsFloat16(matrix: usize, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize): void {
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

/** A block of 32 bytes times 32 activations: four partial sums. */
// @ts-ignore: decorator
@inline
function block8(w: usize, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  const a = i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w), x0), i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 8), x1));
  const b = i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 16), x2), i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 24), x3));
  return f32x4.convert_i32x4_s(i32x4.add(a, b));
}

/**
 * A block of 16 bytes, each with two weights, times 32 activations: four partial sums. High halves are not shifted down: they are 16 times too large,
 * and their activations 16 times too small.
 */
// @ts-ignore: decorator
@inline
function block4(w: usize, low: v128, high: v128, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  const even = v128.load(w);
  const odd = i16x8.shr_u(even, 8);
  const a = i32x4.add(i32x4.dot_i16x8_s(v128.and(even, low), x0), i32x4.dot_i16x8_s(v128.and(even, high), x1));
  const b = i32x4.add(i32x4.dot_i16x8_s(v128.and(odd, low), x2), i32x4.dot_i16x8_s(v128.and(odd, high), x3));
  return f32x4.convert_i32x4_s(i32x4.add(a, b));
}

/** Scales of four blocks of a row, times those of the activations. The last ones may be of what follows the row: they are not used. */
// @ts-ignore: decorator
@inline
function scales4(at: usize, x: v128): v128 { return f32x4.mul(shifted(v128.load_ext<i16>(at)), x); }

/** Writes the scales of four blocks for each of the four rows to `to`. */
// @ts-ignore: decorator
@inline
function scales16(d0: usize, d1: usize, d2: usize, d3: usize, block: i32, x: v128, to: usize): void {
  const at = <usize>block << 1;
  v128.store(to, scales4(d0 + at, x));
  v128.store(to, scales4(d1 + at, x), 16);
  v128.store(to, scales4(d2 + at, x), 32);
  v128.store(to, scales4(d3 + at, x), 48);
}

export function dots8(matrix: usize, out: i32, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize): void {
  const blocks = width >> 5;
  const scales = matrix + scalesOf(DType.Q8_0, out, width);
  const w0 = matrix + <usize>r0 * width;
  const w1 = matrix + <usize>r1 * width;
  const w2 = matrix + <usize>r2 * width;
  const w3 = matrix + <usize>r3 * width;
  const d0 = scales + ((<usize>r0 * blocks) << 1);
  const d1 = scales + ((<usize>r1 * blocks) << 1);
  const d2 = scales + ((<usize>r2 * blocks) << 1);
  const d3 = scales + ((<usize>r3 * blocks) << 1);
  const spare = to + (<usize>count << 4);
  for (let i = 0; i < count; i++, x += xBytes, to += 16) {
    let v = x;
    const xScales = x + (<usize>width << 1);
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let s3 = f32x4.splat(0);
    let at: usize = 0;
    for (let block = 0; block < blocks; block += 4) {
      scales16(d0, d1, d2, d3, block, v128.load(xScales + (block << 2)), spare);
      const last = spare + (min(4, blocks - block) << 2);
      for (let scale = spare; scale < last; scale += 4, at += 32, v += 64) {
        const x0 = v128.load(v);
        const x1 = v128.load(v, 16);
        const x2 = v128.load(v, 32);
        const x3 = v128.load(v, 48);
        s0 = madd(block8(w0 + at, x0, x1, x2, x3), v128.load32_splat(scale), s0);
        s1 = madd(block8(w1 + at, x0, x1, x2, x3), v128.load32_splat(scale, 16), s1);
        s2 = madd(block8(w2 + at, x0, x1, x2, x3), v128.load32_splat(scale, 32), s2);
        s3 = madd(block8(w3 + at, x0, x1, x2, x3), v128.load32_splat(scale, 48), s3);
      }
    }
    store4(to, s0, s1, s2, s3);
  }
}

/** q4_0 is q4_1 whose minimums are -8 times its scales: the activations' offsets hold the -8. */
export function dots4Bits(dtype: i32, matrix: usize, out: i32, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize, count: i32, to: usize): void {
  const blocks = width >> 5;
  const half = <usize>width >> 1;
  const low = i16x8.splat(<i16>lowNibble);
  const high = i16x8.splat(<i16>highNibble);
  const scales = matrix + scalesOf(dtype, out, width);
  const minimums = (dtype == DType.Q4_1 ? matrix + minimumsOf(dtype, out, width) : scales) - scales;
  const w0 = matrix + <usize>r0 * half;
  const w1 = matrix + <usize>r1 * half;
  const w2 = matrix + <usize>r2 * half;
  const w3 = matrix + <usize>r3 * half;
  const d0 = scales + ((<usize>r0 * blocks) << 1);
  const d1 = scales + ((<usize>r1 * blocks) << 1);
  const d2 = scales + ((<usize>r2 * blocks) << 1);
  const d3 = scales + ((<usize>r3 * blocks) << 1);
  const spare = to + (<usize>count << 4);
  for (let i = 0; i < count; i++, x += xBytes, to += 16) {
    let v = x;
    const xScales = x + (<usize>width << 1);
    const xOffsets = xScales + scaleBytes(width);
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let s3 = f32x4.splat(0);
    let at: usize = 0;
    for (let block = 0; block < blocks; block += 4) {
      scales16(d0, d1, d2, d3, block, v128.load(xScales + (block << 2)), spare);
      const last = spare + (min(4, blocks - block) << 2);
      for (let scale = spare; scale < last; scale += 4, at += 16, v += 64) {
        const x0 = v128.load(v);
        const x1 = v128.load(v, 16);
        const x2 = v128.load(v, 32);
        const x3 = v128.load(v, 48);
        s0 = madd(block4(w0 + at, low, high, x0, x1, x2, x3), v128.load32_splat(scale), s0);
        s1 = madd(block4(w1 + at, low, high, x0, x1, x2, x3), v128.load32_splat(scale, 16), s1);
        s2 = madd(block4(w2 + at, low, high, x0, x1, x2, x3), v128.load32_splat(scale, 32), s2);
        s3 = madd(block4(w3 + at, low, high, x0, x1, x2, x3), v128.load32_splat(scale, 48), s3);
      }
      const offsets = v128.load(xOffsets + (block << 2));
      const m = minimums + (<usize>block << 1);
      s0 = f32x4.add(s0, scales4(d0 + m, offsets));
      s1 = f32x4.add(s1, scales4(d1 + m, offsets));
      s2 = f32x4.add(s2, scales4(d2 + m, offsets));
      s3 = f32x4.add(s3, scales4(d3 + m, offsets));
    }
    store4(to, s0, s1, s2, s3);
  }
}
