import { Load } from "./lib/arguments";
import { begin, end } from "./lib/control";
import { sizeOf, unpack } from "./lib/half";
import { angles, rotate } from "./lib/rotation";

function loadRows(a: usize): void {
  const capacity = Load.capacity(a);
  const width = Load.width(a);
  const dtype = Load.source(a);
  const bytes = <usize>width * sizeOf(dtype);
  const pieces = Load.heads(a) * capacity;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const h = piece / capacity;
    const j = piece % capacity;
    const out = Load.out(a) + ((<usize>piece * <usize>width) << 2);
    const row = <usize>(load<i32>(Load.offset(a) + (h << 2)) + j);
    if (j >= load<i32>(Load.length(a) + (h << 2)) || row >= <usize>Load.arenaRows(a)) {
      memory.fill(out, 0, <usize>width << 2);
      continue;
    }
    unpack(dtype, Load.sourceAt(a) + row * bytes, out, width);
    if (!Load.rotate(a)) continue;
    rotate(out, Load.rotary(a),
      angles(Load.table(a), Load.tableRows(a), Load.rotary(a), load<i32>(Load.ranks(a) + (row << 2))));
  }
}

export { loadRows as load };
