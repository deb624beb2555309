import { GatedActivation, GatedActivationKind } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { gated, madd } from "./lib/math";

/**
 * silu(x) = x / (1 + e^-x); gelu's tanh form is x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3) (arXiv
 * 1606.08415).
 */
// @ts-ignore: decorator
@inline
function activation(gelu: bool, x: v128): v128 {
  let u = x;
  if (gelu) {
    u = f32x4.mul(x,
      madd(f32x4.mul(x, x), f32x4.splat(2 * 0.7978845608028654 * 0.044715), f32x4.splat(2 * 0.7978845608028654)));
  }
  return gated(x, u);
}

export function gatedActivation(a: usize): void {
  const width = GatedActivation.width(a);
  const gelu = GatedActivation.kind(a) == GatedActivationKind.gelu;
  // Columns are divided among workers too, so that a single row keeps them all busy.
  const rows = GatedActivation.rows(a);
  const across = (width + 255) >> 8;
  const pieces = rows * across;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const r = piece / across;
    const first = (piece % across) << 8;
    const limit = min(width, first + 256);
    const x = GatedActivation.x(a) + ((<usize>r * <usize>width) << 3);
    const gate = x + (<usize>width << 2);
    const out = GatedActivation.out(a) + ((<usize>r * <usize>width) << 2);
    let i = first;
    for (; i + 4 <= limit; i += 4) {
      v128.store(out + (i << 2), f32x4.mul(activation(gelu, v128.load(x + (i << 2))), v128.load(gate + (i << 2))));
    }
    for (; i < limit; i++) {
      const y = activation(gelu, f32x4.splat(load<f32>(x + (i << 2))));
      store<f32>(out + (i << 2), f32x4.extract_lane(y, 0) * load<f32>(gate + (i << 2)));
    }
  }
}
