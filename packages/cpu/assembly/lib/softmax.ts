import { expSmall, expSmall8, madd, max, sum, tanh } from "./math";

// Softmax over a row of logits in scratch. Row lengths are multiples of 4; masked logits are -Infinity.

/** Scales logits, bounds them where softcap > 0, hides those outside first..last, and returns the greatest. */
export function prepareLogits(row: usize, count: i32, first: i32, last: i32, scale: f32, softcap: f32): f32 {
  const scales = f32x4.splat(softcap > 0 ? scale / softcap : scale);
  const caps = f32x4.splat(softcap);
  let greatest = f32x4.splat(-Infinity);
  let other = greatest;
  for (let i = 0; i < first; i++) store<f32>(row + (i << 2), -Infinity);
  for (let i = last; i < count; i++) store<f32>(row + (i << 2), -Infinity);
  let i = 0;
  if (softcap <= 0) {
    for (; i + 8 <= count; i += 8) {
      const x = f32x4.mul(v128.load(row + (i << 2)), scales);
      const y = f32x4.mul(v128.load(row + (i << 2), 16), scales);
      greatest = f32x4.pmax(greatest, x);
      other = f32x4.pmax(other, y);
      v128.store(row + (i << 2), x);
      v128.store(row + (i << 2), y, 16);
    }
  }
  for (; i < count; i += 4) {
    let x = f32x4.mul(v128.load(row + (i << 2)), scales);
    if (softcap > 0) x = v128.bitselect(x, f32x4.mul(tanh(x), caps), f32x4.eq(x, f32x4.splat(-Infinity)));
    greatest = f32x4.pmax(greatest, x);
    v128.store(row + (i << 2), x);
  }
  return max(f32x4.pmax(greatest, other));
}

/** Logits become e^(logit - base); returns their sum. */
export function exponentials(row: usize, count: i32, base: f32): f32 {
  const bases = f32x4.splat(base);
  let total = f32x4.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8) total = f32x4.add(total, expSmall8(row + (i << 2), bases));
  for (; i < count; i += 4) {
    const weight = expSmall(f32x4.sub(v128.load(row + (i << 2)), bases));
    total = f32x4.add(total, weight);
    v128.store(row + (i << 2), weight);
  }
  return sum(total);
}

/** Multiplies `count` (a multiple of 4) numbers. */
export function scaleRow(row: usize, count: i32, by: f32): void {
  const factor = f32x4.splat(by);
  for (let i = 0; i < count; i += 4) v128.store(row + (i << 2), f32x4.mul(v128.load(row + (i << 2)), factor));
}

/** row += by x other, `count` (a multiple of 4) numbers. */
export function addRow(row: usize, other: usize, count: i32, by: f32): void {
  const factor = f32x4.splat(by);
  for (let i = 0; i < count; i += 4) {
    v128.store(row + (i << 2), madd(v128.load(other + (i << 2)), factor, v128.load(row + (i << 2))));
  }
}

// Decode attention uses powers of 2: the factor log2(e) goes into the queries once, and no multiple of ln 2 has to be
// subtracted.

export const LOG2_E: f32 = 1.44269504088896341;

/** The logits become cap x tanh(logit). */
export function boundLogits(row: usize, count: i32, cap: f32): void {
  const caps = f32x4.splat(cap);
  for (let at = row; at < row + (<usize>count << 2); at += 16) v128.store(at, f32x4.mul(tanh(v128.load(at)), caps));
}

/** The greatest of `count` (a multiple of 4) logits. */
export function greatest(row: usize, count: i32): f32 {
  let a = f32x4.splat(-Infinity);
  let b = a;
  const end = row + (<usize>count << 2);
  for (; row + 32 <= end; row += 32) {
    a = f32x4.pmax(a, v128.load(row));
    b = f32x4.pmax(b, v128.load(row, 16));
  }
  if (row < end) a = f32x4.pmax(a, v128.load(row));
  return max(f32x4.pmax(a, b));
}

// The least exponent, which gives 0; 1.5 x 2^23 + 127, whose sum with x has the exponent of 2^x in its low bits; then
// 2^r for |r| <= 1/2 with a relative error of 7.5e-8: the minimax polynomial of fifth degree, by the Remez algorithm.
const LEAST: usize = 0;
const ROUND_127: usize = 4;
const POLYNOMIAL: usize = 8;
const CONSTANTS = memory.data<f32>([
  -127, 12583039, 0.0013276472167819944, 0.009675541331021392, 0.05550713272875391, 0.2402211972396918,
  0.6931469670652649, 1.0000000716546416,
]);

// @ts-ignore: decorator
@inline
function constant(place: usize): v128 { return v128.load32_splat(CONSTANTS + place); }

/**
 * 2^(x - base) for the eight numbers at `at`; 0 below 2^-126. Returns the sums of pairs. Both halves share the loads of
 * constants.
 */
// @ts-ignore: decorator
@inline
function power8(at: usize, base: v128): v128 {
  let c = constant(LEAST);
  let x = f32x4.pmax(f32x4.sub(v128.load(at), base), c);
  let y = f32x4.pmax(f32x4.sub(v128.load(at, 16), base), c);
  c = constant(ROUND_127);
  const t = f32x4.add(x, c);
  const u = f32x4.add(y, c);
  x = f32x4.sub(x, f32x4.sub(t, c));
  y = f32x4.sub(y, f32x4.sub(u, c));
  c = constant(POLYNOMIAL);
  let p = c;
  let q = c;
  c = constant(POLYNOMIAL + 4);
  p = madd(p, x, c);
  q = madd(q, y, c);
  c = constant(POLYNOMIAL + 8);
  p = madd(p, x, c);
  q = madd(q, y, c);
  c = constant(POLYNOMIAL + 12);
  p = madd(p, x, c);
  q = madd(q, y, c);
  c = constant(POLYNOMIAL + 16);
  p = madd(p, x, c);
  q = madd(q, y, c);
  c = constant(POLYNOMIAL + 20);
  p = madd(p, x, c);
  q = madd(q, y, c);
  p = f32x4.mul(p, i32x4.shl(t, 23));
  q = f32x4.mul(q, i32x4.shl(u, 23));
  v128.store(at, p);
  v128.store(at, q, 16);
  return f32x4.add(p, q);
}

/** `count` (a multiple of 8) numbers become 2^(number - base); returns their sum. */
export function powers(row: usize, count: i32, base: f32): f32 {
  const bases = f32x4.splat(base);
  let total = f32x4.splat(0);
  for (let at = row; at < row + (<usize>count << 2); at += 32) total = f32x4.add(total, power8(at, bases));
  return sum(total);
}
