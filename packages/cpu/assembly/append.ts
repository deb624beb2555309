import { Append } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { pack, sizeOf } from "./lib/half";

export function append(a: usize): void {
  const tokens = Append.tokens(a);
  const queryHeads = Append.queryHeads(a);
  const kvHeads = Append.kvHeads(a);
  const headSize = Append.headSize(a);
  const arenaRows = Append.arenaRows(a);
  const dtype = Append.kv(a);
  const bytes = <usize>headSize * sizeOf(dtype);
  const pieces = Append.sequences(a) * kvHeads * tokens;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const h = piece / tokens;
    const i = piece % tokens;
    const s = h / kvHeads;
    if (load<i32>(Append.ended(a) + (s << 2)) != 0) continue;
    const length = load<i32>(Append.length(a) + (h << 2));
    const row = <usize>(load<i32>(Append.offset(a) + (h << 2)) + length + i);
    if (row >= <usize>arenaRows) continue;
    const from = <usize>(s * tokens + i) * (queryHeads + 2 * kvHeads) + queryHeads + (h % kvHeads);
    const key = Append.qkv(a) + ((from * headSize) << 2);
    if (Append.keys(a)) pack(dtype, key, Append.keysAt(a) + row * bytes, headSize);
    if (Append.values(a)) {
      pack(dtype, key + ((<usize>kvHeads * headSize) << 2), Append.valuesAt(a) + row * bytes, headSize);
    }
    if (!Append.cells(a)) continue;
    const cells = Append.cellsAt(a) + (row << 2);
    const plane = <usize>arenaRows << 2;
    for (let p = 0; p < Append.planes(a); p++) store<i32>(cells + <usize>p * plane, 0);
    store<i32>(cells, load<i32>(Append.seen(a) + (h << 2)) + i);
    if (Append.ranks(a)) store<i32>(cells + plane, length + i);
  }
}
