import { Embed } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { unpackWeights } from "./lib/weights";

export function embed(a: usize): void {
  const tokens = Embed.tokens(a);
  const vocabulary = Embed.vocabulary(a);
  const width = Embed.width(a);
  const scale = <f32>Embed.scale(a);
  const last = end(tokens);
  for (let t = begin(tokens); t < last; t++) {
    const id = load<i32>(Embed.ids(a) + (t << 2));
    const to = Embed.out(a) + ((<usize>t * <usize>width) << 2);
    unpackWeights(Embed.weight(a), Embed.table(a), vocabulary, width, <u32>id < <u32>vocabulary ? id : 0, 0, width, to);
    if (scale != 1) for (let i = 0; i < width; i++) store<f32>(to + (i << 2), scale * load<f32>(to + (i << 2)));
  }
}
