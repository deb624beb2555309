import { Unary, UnaryKind } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { exp } from "./lib/math";

// @ts-ignore: decorator
@inline
function apply(kind: i32, x: v128): v128 {
  if (kind == UnaryKind.neg) return f32x4.neg(x);
  if (kind == UnaryKind.abs) return f32x4.abs(x);
  if (kind == UnaryKind.exp) return exp(x);
  if (kind == UnaryKind.sqrt) return f32x4.sqrt(x);
  if (kind == UnaryKind.not) return v128.and(f32x4.eq(x, f32x4.splat(0)), f32x4.splat(1));
  return f32x4.convert_i32x4_s(x);
}

// @ts-ignore: decorator
@inline
function each(kind: i32, x: usize, out: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(out + (i << 2), apply(kind, v128.load(x + (i << 2))));
  for (; i < count; i++) v128.store32_lane(out + (i << 2), apply(kind, v128.load32_zero(x + (i << 2))), 0);
}

export function unary(a: usize): void {
  const first = begin(Unary.elements(a));
  const count = end(Unary.elements(a)) - first;
  const x = Unary.xAt(a) + (first << 2);
  const out = Unary.out(a) + (first << 2);
  switch (Unary.kind(a)) {
    case UnaryKind.neg: return each(UnaryKind.neg, x, out, count);
    case UnaryKind.abs: return each(UnaryKind.abs, x, out, count);
    case UnaryKind.exp: return each(UnaryKind.exp, x, out, count);
    case UnaryKind.sqrt: return each(UnaryKind.sqrt, x, out, count);
    case UnaryKind.not: return each(UnaryKind.not, x, out, count);
    case UnaryKind.float: return each(UnaryKind.float, x, out, count);
    default:
      for (let i = 0; i < count; i++) store<f32>(out + (i << 2), <f32>NativeMath.log(load<f32>(x + (i << 2))));
  }
}
