import { Order } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { sortPairs } from "./lib/select";

export function order(a: usize): void {
  const heads = Order.heads(a);
  const capacity = Order.capacity(a);
  const histogram = threadScratch();
  const pairs = histogram + 1024;
  for (let h = claim(); h < heads; h = claim()) {
    const offset = load<i32>(Order.offset(a) + (h << 2));
    const length = max(0, min(load<i32>(Order.length(a) + (h << 2)), min(capacity, Order.arenaRows(a) - offset)));
    const positions = Order.positions(a) + (offset << 2);
    const rows = Order.rows(a) + ((<usize>h * <usize>capacity) << 2);
    for (let row = 0; row < length; row++) {
      store<u32>(pairs + (row << 3), load<u32>(positions + (row << 2)) ^ 0x80000000);
      store<i32>(pairs + (row << 3), row, 4);
    }
    sortPairs(pairs, pairs + (<usize>capacity << 3), length, histogram);
    for (let i = 0; i < length; i++) store<i32>(rows + (i << 2), load<i32>(pairs + (i << 3), 4));
    store<i32>(Order.count(a) + (h << 2), length);
  }
}
