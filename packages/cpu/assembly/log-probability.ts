import { LogProbability } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { exp1, expSmall, max, sum } from "./lib/math";

export function logProbability(a: usize): void {
  const vocabulary = LogProbability.vocabulary(a);
  const whole = vocabulary & ~3;
  const last = end(LogProbability.rows(a));
  for (let r = begin(LogProbability.rows(a)); r < last; r++) {
    const x = LogProbability.logits(a) + ((<usize>r * <usize>vocabulary) << 2);
    let greatests = f32x4.splat(-Infinity);
    for (let i = 0; i < whole; i += 4) greatests = f32x4.pmax(greatests, v128.load(x + (i << 2)));
    let greatest = max(greatests);
    for (let i = whole; i < vocabulary; i++) if (load<f32>(x + (i << 2)) > greatest) greatest = load<f32>(x + (i << 2));
    let total: f64 = 0;
    const base = f32x4.splat(greatest);
    // Summed in pieces, so that large vocabularies lose no precision.
    for (let i = 0; i < whole; i += 256) {
      let part = f32x4.splat(0);
      const limit = min(whole, i + 256);
      for (let j = i; j < limit; j += 4) part = f32x4.add(part, expSmall(f32x4.sub(v128.load(x + (j << 2)), base)));
      total += sum(part);
    }
    for (let i = whole; i < vocabulary; i++) total += exp1(load<f32>(x + (i << 2)) - greatest);
    const id = load<i32>(LogProbability.ids(a) + (r << 2));
    const chosen: f32 = <u32>id < <u32>vocabulary ? load<f32>(x + (id << 2)) : -Infinity;
    store<f32>(LogProbability.out(a) + (r << 2), <f32>(<f64>chosen - <f64>greatest - NativeMath.log(total)));
  }
}
