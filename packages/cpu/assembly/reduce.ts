import { Reduce, ReduceKind } from "./lib/arguments";
import { begin, end } from "./lib/control";

// @ts-ignore: decorator
@inline
function start(kind: i32): f32 {
  return kind == ReduceKind.max ? -Infinity : kind == ReduceKind.min ? Infinity : 0;
}

// @ts-ignore: decorator
@inline
function step(kind: i32, so: v128, x: v128): v128 {
  if (kind == ReduceKind.max) return f32x4.max(so, x);
  if (kind == ReduceKind.min) return f32x4.min(so, x);
  return f32x4.add(so, kind == ReduceKind.norm ? f32x4.mul(x, x) : x);
}

// @ts-ignore: decorator
@inline
function finish(kind: i32, so: v128, count: i32): v128 {
  if (kind == ReduceKind.norm) return f32x4.sqrt(so);
  if (kind == ReduceKind.mean && count > 0) return f32x4.div(so, f32x4.splat(<f32>count));
  return so;
}

export function reduce(a: usize): void {
  const d0 = Reduce.d0(a);
  const d1 = Reduce.d1(a);
  const d2 = Reduce.d2(a);
  const axis = Reduce.axis(a);
  const kind = Reduce.kind(a);
  const n0 = axis == 0 ? 1 : d0;
  const n1 = axis == 1 ? 1 : d1;
  const n2 = axis == 2 ? 1 : d2;
  const all = axis == 0 ? d0 : axis == 1 ? d1 : d2;
  const stride = (axis == 0 ? <usize>d1 * d2 : axis == 1 ? <usize>d2 : 1) << 2;
  const rows = n0 * n1;
  const lanes = (n2 + 3) >> 2;
  const pieces = rows * lanes;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const row = piece / lanes;
    const k = (piece % lanes) << 2;
    const i = row / n1;
    const j = row % n1;
    let count = all;
    if (Reduce.ragged(a)) count = min(d1, load<i32>(Reduce.length(a) + ((i / Reduce.share(a)) << 2)));
    let x = Reduce.x(a) + (((<usize>i * d1 + j) * d2 + k) << 2);
    const out = Reduce.out(a) + ((<usize>row * n2 + k) << 2);
    let so = f32x4.splat(start(kind));
    if (n2 - k >= 4) {
      for (let n = 0; n < count; n++, x += stride) so = step(kind, so, v128.load(x));
      v128.store(out, finish(kind, so, count));
      continue;
    }
    for (let lane = 0; lane < n2 - k; lane++) {
      let at = x + (lane << 2);
      so = f32x4.splat(start(kind));
      for (let n = 0; n < count; n++, at += stride) so = step(kind, so, v128.load32_splat(at));
      v128.store32_lane(out + (lane << 2), finish(kind, so, count), 0);
    }
  }
}
