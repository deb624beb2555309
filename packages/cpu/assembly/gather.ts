import { Gather } from "./lib/arguments";
import { begin, end, threadScratch } from "./lib/control";
import { pack, sizeOf, unpack } from "./lib/half";
import { angles, rotate } from "./lib/rotation";

export function gather(a: usize): void {
  const most = Gather.most(a);
  const headSize = Gather.headSize(a);
  const dtype = Gather.kv(a);
  const bytes = <usize>headSize * sizeOf(dtype);
  const planes = Gather.planes(a);
  const scratch = threadScratch();
  const pieces = Gather.heads(a) * most;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const h = piece / most;
    const i = piece % most;
    const count = max(0, min(load<i32>(Gather.count(a) + (h << 2)), most));
    if (i == 0) store<i32>(Gather.targetLength(a) + (h << 2), count);
    if (i >= count) continue;
    const from = <usize>(load<i32>(Gather.offset(a) + (h << 2)) + load<i32>(Gather.rows(a) + (piece << 2)));
    const to = <usize>(load<i32>(Gather.targetOffset(a) + (h << 2)) + i);
    const key = Gather.keys(a) + from * bytes;
    const targetKey = Gather.targetKeys(a) + to * bytes;
    if (Gather.rotate(a)) {
      unpack(dtype, key, scratch, headSize);
      rotate(scratch, Gather.rotary(a), angles(Gather.table(a), Gather.tableRows(a), Gather.rotary(a), i));
      pack(dtype, scratch, targetKey, headSize);
    } else {
      memory.copy(targetKey, key, bytes);
    }
    if (!Gather.values(a)) continue;
    memory.copy(Gather.targetValues(a) + to * bytes, Gather.valuesAt(a) + from * bytes, bytes);
    for (let p = 0; p < planes; p++) {
      const cell = load<i32>(Gather.cells(a) + ((<usize>p * <usize>Gather.arenaRows(a) + from) << 2));
      const at = Gather.targetCells(a) + ((<usize>p * <usize>Gather.targetRows(a) + to) << 2);
      store<i32>(at, Gather.ranks(a) && p == 1 ? i : cell);
    }
  }
}
