import { scaleBytes } from "./activations";
import { halfBits, highNibble, lowNibble, store4 } from "./dots";
import { madd } from "./math";

// Four rows of quantised weights times one row of activations (see activations.ts), in blocks of 32.

/** A half shifted into place in each lane of what was loaded with its sign: times 2^112 it is the number. */
// @ts-ignore: decorator
@inline
export function shifted(bits: v128): v128 { return v128.and(i32x4.shl(bits, 13), i32x4.splat(halfBits)); }

/** A block of 32 bytes times 32 activations: four partial sums. */
// @ts-ignore: decorator
@inline
function block8(w: usize, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  const a = i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w), x0), i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 8), x1));
  const b = i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 16), x2), i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 24), x3));
  return f32x4.convert_i32x4_s(i32x4.add(a, b));
}

/**
 * A block of 16 bytes with two weights each, times 32 activations: four partial sums. The high nibbles are not shifted
 * down: they are 16 times too large, and their activations 16 times too small.
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

/**
 * Scales of four blocks of a row, times those of the activations. The last ones may belong to what follows the row;
 * they are not used.
 */
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

/**
 * to[0..4) = rows r0..r3 of 8-bit weights . the activations at `x`; `scales` and `blocks` are those of the matrix.
 * `spare` holds 64 bytes. The loop is kept less deep than possible: V8 unrolls small loops by their depth, and a second
 * copy of this one would spill every weight that it loads.
 */
export function dots8(
  matrix: usize, scales: usize, blocks: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, to: usize,
  spare: usize,
): void {
  const w0 = matrix + ((<usize>r0 * blocks) << 5);
  const w1 = matrix + ((<usize>r1 * blocks) << 5);
  const w2 = matrix + ((<usize>r2 * blocks) << 5);
  const w3 = matrix + ((<usize>r3 * blocks) << 5);
  const d0 = scales + ((<usize>r0 * blocks) << 1);
  const d1 = scales + ((<usize>r1 * blocks) << 1);
  const d2 = scales + ((<usize>r2 * blocks) << 1);
  const d3 = scales + ((<usize>r3 * blocks) << 1);
  const xScales = x + (<usize>blocks << 6);
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let at: usize = 0;
  for (let block = 0; block < blocks; block += 4) {
    scales16(d0, d1, d2, d3, block, v128.load(xScales + (block << 2)), spare);
    const last = spare + (min(4, blocks - block) << 2);
    for (let scale = spare; scale < last; scale += 4, at += 32, x += 64) {
      const x0 = v128.load(x);
      const x1 = v128.load(x, 16);
      const x2 = v128.load(x, 32);
      const x3 = v128.load(x, 48);
      s0 = madd(block8(w0 + at, x0, x1, x2, x3), v128.load32_splat(scale), s0);
      s1 = madd(block8(w1 + at, x0, x1, x2, x3), v128.load32_splat(scale, 16), s1);
      s2 = madd(block8(w2 + at, x0, x1, x2, x3), v128.load32_splat(scale, 32), s2);
      s3 = madd(block8(w3 + at, x0, x1, x2, x3), v128.load32_splat(scale, 48), s3);
    }
  }
  store4(to, s0, s1, s2, s3);
}

/**
 * The same with 4 bits. `minimums` is the distance from a block's scale to its minimum. q4_0 is q4_1 with minimums of
 * -8 times its scales, and the activations' offsets contain the -8.
 */
export function dots4Bits(
  matrix: usize, scales: usize, minimums: usize, blocks: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize,
  to: usize, spare: usize,
): void {
  const low = i16x8.splat(<i16>lowNibble);
  const high = i16x8.splat(<i16>highNibble);
  const w0 = matrix + ((<usize>r0 * blocks) << 4);
  const w1 = matrix + ((<usize>r1 * blocks) << 4);
  const w2 = matrix + ((<usize>r2 * blocks) << 4);
  const w3 = matrix + ((<usize>r3 * blocks) << 4);
  const d0 = scales + ((<usize>r0 * blocks) << 1);
  const d1 = scales + ((<usize>r1 * blocks) << 1);
  const d2 = scales + ((<usize>r2 * blocks) << 1);
  const d3 = scales + ((<usize>r3 * blocks) << 1);
  const xScales = x + (<usize>blocks << 6);
  const xOffsets = xScales + scaleBytes(blocks << 5);
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let at: usize = 0;
  for (let block = 0; block < blocks; block += 4) {
    scales16(d0, d1, d2, d3, block, v128.load(xScales + (block << 2)), spare);
    const last = spare + (min(4, blocks - block) << 2);
    for (let scale = spare; scale < last; scale += 4, at += 16, x += 64) {
      const x0 = v128.load(x);
      const x1 = v128.load(x, 16);
      const x2 = v128.load(x, 32);
      const x3 = v128.load(x, 48);
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
