import { Rope } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { angles, rotate } from "./lib/rotation";

export function rope(a: usize): void {
  const tokens = Rope.tokens(a);
  const queryHeads = Rope.queryHeads(a);
  const kvHeads = Rope.kvHeads(a);
  const rotary = Rope.rotary(a);
  const tableRows = Rope.tableRows(a);
  const size = <usize>Rope.headSize(a) << 2;
  const group = queryHeads / kvHeads;
  const heads = queryHeads + (Rope.keys(a) ? kvHeads : 0);
  const rows = Rope.sequences(a) * tokens;
  const pieces = rows * heads;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const row = piece / heads;
    const head = piece % heads;
    const kvHead = head < queryHeads ? head / group : head - queryHeads;
    const base = load<i32>(Rope.base(a) + (((row / tokens) * kvHeads + kvHead) << 2));
    const x = Rope.qkv(a) + (<usize>row * (queryHeads + 2 * kvHeads) + head) * size;
    rotate(x, rotary, angles(Rope.table(a), tableRows, rotary, base + (row % tokens)));
  }
}
