// Elementary functions of four floats, with a relative error of about 1e-7.

/** a x b + c, rounded once if the machine can. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** a x b + c x d + e, with `e` needed only in the last step. */
// @ts-ignore: decorator
@inline
export function madd2(a: v128, b: v128, c: v128, d: v128, e: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, f32x4.relaxed_madd(c, d, e));
  return f32x4.add(f32x4.add(f32x4.mul(a, b), f32x4.mul(c, d)), e);
}

// e^r for |r| <= ln(2) / 2, by Cephes' expf polynomial (netlib.org/cephes, single/expf.c).
// @ts-ignore: decorator
@inline
function expReduced(r: v128): v128 {
  let p = madd(constant(P0), r, constant(P0 + 4));
  p = madd(p, r, constant(P0 + 8));
  p = madd(p, r, constant(P0 + 12));
  p = madd(p, r, constant(P0 + 16));
  p = madd(p, r, constant(P0 + 20));
  return f32x4.add(madd(p, f32x4.mul(r, r), r), constant(ONE));
}

// 1.5 x 2^23: adding a number to it rounds it, and the low bits hold the integer.
const ROUND: usize = 24;
const LOG2_E: usize = 28;
const LN2_HIGH: usize = 32;
const LN2_LOW: usize = 36;
const LEAST: usize = 40;
const ONE: usize = 44;
const MOST: usize = 48;
const ROUND_127: usize = 52;
const P0: usize = 0;
const CONSTANTS = memory.data<f32>([
  1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 12582912,
  1.44269504088896341, -0.693359375,
  2.12194440e-4, -87, 1, 88, 12583039,
]);

/** Constants are in memory, because V8 recreates constants in code at each use, with four instructions. */
// @ts-ignore: decorator
@inline
function constant(place: usize): v128 { return v128.load32_splat(CONSTANTS + place); }

/** e^x for x <= 88; 0 below -87, where e^x is barely a normal number. */
// @ts-ignore: decorator
@inline
export function expSmall(x: v128): v128 {
  const clamped = f32x4.pmax(x, constant(LEAST));
  // The low bits of t are the exponent of 2^n in the format of floats.
  const t = madd(clamped, constant(LOG2_E), constant(ROUND_127));
  const n = f32x4.sub(t, constant(ROUND_127));
  const r = madd(n, constant(LN2_LOW), madd(n, constant(LN2_HIGH), clamped));
  const power = i32x4.shl(t, 23);
  return v128.and(f32x4.mul(expReduced(r), power), f32x4.ge(x, constant(LEAST)));
}

/**
 * e^(x - base) for the eight numbers at `at`, as `expSmall`. Returns the sums of pairs. Both halves share the loads of
 * constants.
 */
// @ts-ignore: decorator
@inline
export function expSmall8(at: usize, base: v128): v128 {
  let c = constant(LEAST);
  const x = f32x4.sub(v128.load(at), base);
  const y = f32x4.sub(v128.load(at, 16), base);
  const seenX = f32x4.ge(x, c);
  const seenY = f32x4.ge(y, c);
  let r = f32x4.pmax(x, c);
  let s = f32x4.pmax(y, c);
  c = constant(LOG2_E);
  let d = constant(ROUND_127);
  const t = madd(r, c, d);
  const u = madd(s, c, d);
  const n = f32x4.sub(t, d);
  const m = f32x4.sub(u, d);
  c = constant(LN2_HIGH);
  d = constant(LN2_LOW);
  r = madd(n, d, madd(n, c, r));
  s = madd(m, d, madd(m, c, s));
  c = constant(P0);
  d = constant(P0 + 4);
  let p = madd(c, r, d);
  let q = madd(c, s, d);
  c = constant(P0 + 8);
  p = madd(p, r, c);
  q = madd(q, s, c);
  c = constant(P0 + 12);
  p = madd(p, r, c);
  q = madd(q, s, c);
  c = constant(P0 + 16);
  p = madd(p, r, c);
  q = madd(q, s, c);
  c = constant(P0 + 20);
  p = madd(p, r, c);
  q = madd(q, s, c);
  c = constant(ONE);
  p = f32x4.add(madd(p, f32x4.mul(r, r), r), c);
  q = f32x4.add(madd(q, f32x4.mul(s, s), s), c);
  p = v128.and(f32x4.mul(p, i32x4.shl(t, 23)), seenX);
  q = v128.and(f32x4.mul(q, i32x4.shl(u, 23)), seenY);
  v128.store(at, p);
  v128.store(at, q, 16);
  return f32x4.add(p, q);
}

/** x / (1 + e^-u). */
// @ts-ignore: decorator
@inline
export function gated(x: v128, u: v128): v128 {
  return f32x4.div(x, f32x4.add(constant(ONE), expSmall(f32x4.pmin(f32x4.neg(u), constant(MOST)))));
}

/** e^x for any x, infinities, subnormals and NaN included. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const clamped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-106)), f32x4.splat(90));
  const t = madd(clamped, constant(LOG2_E), constant(ROUND));
  const n = f32x4.sub(t, constant(ROUND));
  const r = madd(n, constant(LN2_LOW), madd(n, constant(LN2_HIGH), clamped));
  // 2^n in two steps, each a normal number.
  const whole = i32x4.sub(t, constant(ROUND));
  const half = i32x4.shr_s(whole, 1);
  const first = i32x4.shl(i32x4.add(half, i32x4.splat(127)), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(whole, half), i32x4.splat(127)), 23);
  return f32x4.mul(f32x4.mul(expReduced(r), first), second);
}

/** tanh(x), to about 1e-7 absolute. */
// @ts-ignore: decorator
@inline
export function tanh(x: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-10)), f32x4.splat(10));
  const e = expSmall(f32x4.add(bounded, bounded));
  return f32x4.div(f32x4.sub(e, f32x4.splat(1)), f32x4.add(e, f32x4.splat(1)));
}

// @ts-ignore: decorator
@inline
export function exp1(x: f32): f32 { return f32x4.extract_lane(exp(f32x4.splat(x)), 0); }

/** The sum of the lanes. */
// @ts-ignore: decorator
@inline
export function sum(x: v128): f32 {
  const pairs = f32x4.add(x, i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

// @ts-ignore: decorator
@inline
export function max(x: v128): f32 {
  const pairs = f32x4.pmax(x, i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const a = f32x4.extract_lane(pairs, 0);
  const b = f32x4.extract_lane(pairs, 1);
  return a < b ? b : a;
}
