import { Pool, PoolKind } from "./lib/arguments";
import { begin, end } from "./lib/control";

export function pool(a: usize): void {
  const capacity = Pool.capacity(a);
  const size = Pool.size(a);
  const kernel = Pool.kernel(a);
  const reach = (kernel - 1) >> 1;
  const greatest = Pool.kind(a) == PoolKind.max;
  const pieces = Pool.heads(a) * capacity;
  const last = end(pieces);
  for (let piece = begin(pieces); piece < last; piece++) {
    const h = piece / capacity;
    const j = piece % capacity;
    const length = min(load<i32>(Pool.length(a) + ((h / Pool.share(a)) << 2)), capacity);
    const out = Pool.out(a) + ((<usize>piece * size) << 2);
    if (j >= length) {
      memory.fill(out, 0, <usize>size << 2);
      continue;
    }
    const rows = Pool.x(a) + ((<usize>h * capacity * size) << 2);
    const limit = min(length, j + reach + 1);
    for (let i = 0; i < size; i++) {
      let pooled: f32 = greatest ? -Infinity : 0;
      for (let n = max(0, j - reach); n < limit; n++) {
        const x = load<f32>(rows + ((<usize>n * size + i) << 2));
        pooled = greatest ? max<f32>(pooled, x) : pooled + x;
      }
      store<f32>(out + (i << 2), greatest ? pooled : pooled / <f32>kernel);
    }
  }
}
