import { Hash } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { uniform } from "./lib/random";

export function hash(a: usize): void {
  const capacity = Hash.capacity(a);
  const pieces = Hash.heads(a) * capacity;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const head = (piece / capacity) % Hash.kvHeads(a);
    const position = <u32><i64>load<f32>(Hash.positions(a) + (piece << 2));
    store<f32>(Hash.out(a) + (piece << 2), uniform(Hash.seed(a) + head, position));
  }
}
