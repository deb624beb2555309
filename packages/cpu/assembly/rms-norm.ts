import { RmsNorm } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { madd, sum } from "./lib/math";

export function rmsNorm(a: usize): void {
  const width = RmsNorm.width(a);
  const weight = RmsNorm.weight(a);
  const whole = width & ~7;
  const last = end(RmsNorm.rows(a));
  for (let r = begin(RmsNorm.rows(a)); r < last; r++) {
    const row = (<usize>r * <usize>width) << 2;
    const x = RmsNorm.x(a) + row;
    const out = RmsNorm.out(a) + row;
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    for (let i = 0; i < whole; i += 8) {
      const v0 = v128.load(x + (i << 2));
      const v1 = v128.load(x + (i << 2), 16);
      s0 = madd(v0, v0, s0);
      s1 = madd(v1, v1, s1);
    }
    let squares = sum(f32x4.add(s0, s1));
    for (let i = whole; i < width; i++) squares += load<f32>(x + (i << 2)) * load<f32>(x + (i << 2));
    const factor: f32 = <f32>1 / sqrt<f32>(squares / <f32>width + <f32>RmsNorm.epsilon(a));
    const factors = f32x4.splat(factor);
    for (let i = 0; i < whole; i += 8) {
      v128.store(out + (i << 2), f32x4.mul(f32x4.mul(v128.load(x + (i << 2)), factors), v128.load(weight + (i << 2))));
      v128.store(out + (i << 2),
        f32x4.mul(f32x4.mul(v128.load(x + (i << 2), 16), factors), v128.load(weight + (i << 2), 16)), 16);
    }
    for (let i = whole; i < width; i++) {
      store<f32>(out + (i << 2), load<f32>(x + (i << 2)) * factor * load<f32>(weight + (i << 2)));
    }
  }
}
