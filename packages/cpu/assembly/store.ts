import { Store } from "./lib/arguments";
import { begin, end } from "./lib/control";

function storeRows(a: usize): void {
  const kvHeads = Store.kvHeads(a);
  const heads = Store.sequences(a) * kvHeads;
  const last = end(heads);
  for (let h = begin(heads); h < last; h++) {
    if (load<i32>(Store.ended(a) + ((h / kvHeads) << 2)) != 0) continue;
    const x = Store.x(a) + ((<usize>h * <usize>Store.capacity(a)) << 2);
    const offset = load<i32>(Store.offset(a) + (h << 2));
    const room = min(Store.capacity(a), Store.arenaRows(a) - offset);
    const length = max(0, min(load<i32>(Store.length(a) + (h << 2)), room));
    memory.copy(Store.target(a) + (offset << 2), x, length << 2);
  }
}

export { storeRows as store };
