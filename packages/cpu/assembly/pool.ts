import { Pool, PoolKind } from "./lib/arguments";
import { begin, end } from "./lib/control";

export function pool(a: usize): void {
  const capacity = Pool.capacity(a);
  const kernel = Pool.kernel(a);
  const reach = (kernel - 1) >> 1;
  const greatest = Pool.kind(a) == PoolKind.max;
  const pieces = Pool.heads(a) * capacity;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const h = piece / capacity;
    const j = piece % capacity;
    const length = min(load<i32>(Pool.length(a) + ((h / Pool.share(a)) << 2)), capacity);
    let so: f32 = 0;
    if (j < length) {
      const row = Pool.x(a) + ((<usize>h * capacity) << 2);
      const limit = min(length, j + reach + 1);
      if (greatest) so = -Infinity;
      for (let n = max(0, j - reach); n < limit; n++) {
        const x = load<f32>(row + (n << 2));
        so = greatest ? max<f32>(so, x) : so + x;
      }
      if (!greatest) so /= <f32>kernel;
    }
    store<f32>(Pool.out(a) + (piece << 2), so);
  }
}
