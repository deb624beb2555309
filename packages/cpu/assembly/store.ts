import { Store } from "./lib/arguments";
import { begin, end } from "./lib/control";

function storeRows(a: usize): void {
  const kvHeads = Store.kvHeads(a);
  const heads = Store.sequences(a) * kvHeads;
  const last = end(heads);
  for (let h = begin(heads); h < last; h++) {
    if (load<i32>(Store.ended(a) + ((h / kvHeads) << 2)) != 0) continue;
    const x = Store.x(a) + ((<usize>h * <usize>Store.capacity(a)) << 2);
    const target = Store.target(a) + (load<i32>(Store.offset(a) + (h << 2)) << 2);
    memory.copy(target, x, load<i32>(Store.length(a) + (h << 2)) << 2);
  }
}

export { storeRows as store };
