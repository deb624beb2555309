import { Binary, BinaryKind } from "./lib/arguments";
import { begin, end } from "./lib/control";

// @ts-ignore: decorator
@inline
function mask(lanes: v128): v128 { return v128.and(lanes, f32x4.splat(1)); }

// @ts-ignore: decorator
@inline
function apply(kind: i32, a: v128, b: v128): v128 {
  const zero = f32x4.splat(0);
  switch (kind) {
    case BinaryKind.add: return f32x4.add(a, b);
    case BinaryKind.sub: return f32x4.sub(a, b);
    case BinaryKind.mul: return f32x4.mul(a, b);
    case BinaryKind.div: return f32x4.div(a, b);
    case BinaryKind.max: return f32x4.max(a, b);
    case BinaryKind.min: return f32x4.min(a, b);
    case BinaryKind.lt: return mask(f32x4.lt(a, b));
    case BinaryKind.le: return mask(f32x4.le(a, b));
    case BinaryKind.gt: return mask(f32x4.gt(a, b));
    case BinaryKind.ge: return mask(f32x4.ge(a, b));
    case BinaryKind.eq: return mask(f32x4.eq(a, b));
    case BinaryKind.and: return mask(v128.and(f32x4.ne(a, zero), f32x4.ne(b, zero)));
    default: return mask(v128.or(f32x4.ne(a, zero), f32x4.ne(b, zero)));
  }
}

/** Four numbers of an operand whose last axis is as long as the result's, or one spread out. */
// @ts-ignore: decorator
@inline
function four(at: usize, k: i32, step: i32): v128 {
  return step == 0 ? v128.load32_splat(at) : v128.load(at + (k << 2));
}

// @ts-ignore: decorator
@inline
function one(at: usize, k: i32, step: i32): v128 { return v128.load32_splat(at + ((k * step) << 2)); }

export function binary(a: usize): void {
  const d1 = Binary.d1(a);
  const d2 = Binary.d2(a);
  const kind = Binary.kind(a);
  const literal = Binary.literal(a);
  const value = f32x4.splat(<f32>Binary.value(a));
  const stepA = i32(Binary.a2(a) != 1);
  const stepB = i32(Binary.b2(a) != 1);
  const rows = Binary.d0(a) * d1;
  // Long rows are split into pieces of 1024.
  const cuts = (d2 + 1023) >> 10;
  const last = end(rows * cuts);
  for (let piece = begin(rows * cuts); piece < last; piece++) {
    const row = piece / cuts;
    const i = row / d1;
    const j = row % d1;
    const x = Binary.a(a) + ((((Binary.a0(a) == 1 ? 0 : i) * Binary.a1(a) + (Binary.a1(a) == 1 ? 0 : j))
      * Binary.a2(a)) << 2);
    const y = Binary.b(a) + ((((Binary.b0(a) == 1 ? 0 : i) * Binary.b1(a) + (Binary.b1(a) == 1 ? 0 : j))
      * Binary.b2(a)) << 2);
    const out = Binary.out(a) + ((<usize>row * <usize>d2) << 2);
    let k = (piece % cuts) << 10;
    const limit = min(d2, k + 1024);
    for (; k + 4 <= limit; k += 4) {
      v128.store(out + (k << 2), apply(kind, four(x, k, stepA), literal ? value : four(y, k, stepB)));
    }
    for (; k < limit; k++) {
      v128.store32_lane(out + (k << 2), apply(kind, one(x, k, stepA), literal ? value : one(y, k, stepB)), 0);
    }
  }
}
