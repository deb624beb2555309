import { Observe } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { sizeOf } from "./lib/half";
import { packKeys, Turn } from "./lib/keys";
import { expSmall } from "./lib/math";
import { prepareLogits } from "./lib/softmax";
import { tile } from "./lib/tile";

// As `watch`, but each query's attention is stored instead of summed: a worker has the columns of a tile of keys, and
// writes 4 bytes a query beside each other for every row.

const QUERIES = 48;
const KEYS = 64;

function unit(a: usize, h: i32, first: i32): void {
  const tokens = Observe.tokens(a);
  const queryHeads = Observe.queryHeads(a);
  const kvHeads = Observe.kvHeads(a);
  const headSize = Observe.headSize(a);
  const dtype = Observe.kv(a);
  const queries = Observe.queries(a);
  const from = Observe.from(a);
  const scale = <f32>Observe.scale(a);
  const softcap = <f32>Observe.softcap(a);
  const group = queryHeads / kvHeads;
  const s = h / kvHeads;
  const length = load<i32>(Observe.length(a) + (h << 2));
  const start = <usize>load<i32>(Observe.offset(a) + (h << 2));
  const count = min(KEYS, length + tokens - first);
  if (count <= 0) return;
  const whole = (count + 7) & ~7;
  const stride = <usize>(queryHeads + 2 * kvHeads) * headSize << 2;
  Turn.ranks = Observe.slot(a) ? Observe.cells(a) + ((<usize>Observe.arenaRows(a) + start) << 2) : 0;
  Turn.table = Observe.table(a);
  Turn.tableRows = Observe.tableRows(a);
  Turn.rotary = Observe.rotary(a);

  const keys = Observe.keys(a) + start * <usize>(headSize * sizeOf(dtype));
  const panels = threadScratch();
  const logits = panels + <usize>KEYS * (((headSize + 7) & ~7) << 2);
  const spare = logits + QUERIES * KEYS * 4;
  const qkv = Observe.qkv(a) + <usize>s * tokens * stride + (((h % kvHeads) * group * headSize) << 2);
  packKeys(dtype, keys, headSize, first, count, panels, spare);
  for (let g = 0; g < group; g++) {
    const head = s * queryHeads + (h % kvHeads) * group + g;
    const lse = Observe.lse(a) + ((<usize>head * tokens) << 2);
    const observed = Observe.observed(a) + ((<usize>(head * Observe.capacity(a) + first) * queries) << 2);
    for (let query = from; query < tokens; query += QUERIES) {
      const several = min(QUERIES, tokens - query);
      const q = qkv + <usize>query * stride + ((g * headSize) << 2);
      for (let j = 0; j < count; j += 8) {
        tile(several, headSize, q, stride, panels + ((j * headSize) << 2), 32, logits + (j << 2), KEYS * 4, false);
      }
      for (let i = 0; i < several; i++) {
        const row = logits + i * (KEYS * 4);
        const seen = max(0, min(count, length + query + i + 1 - first));
        prepareLogits(row, whole, 0, seen, scale, softcap);
        const base = v128.load32_splat(lse + ((query + i) << 2));
        for (let j = 0; j < whole; j += 4) {
          v128.store(row + (j << 2), expSmall(f32x4.sub(v128.load(row + (j << 2)), base)));
        }
        const to = observed + ((Observe.first(a) + query + i - from) << 2);
        for (let j = 0; j < count; j++) store<f32>(to + ((<usize>j * queries) << 2), load<f32>(row + (j << 2)));
      }
    }
  }
}

export function observe(a: usize): void {
  const heads = Observe.sequences(a) * Observe.kvHeads(a);
  const tiles = (Observe.capacity(a) + KEYS - 1) / KEYS;
  for (let i = claim(); i < heads * tiles; i = claim()) {
    const h = i / tiles;
    if (load<i32>(Observe.ended(a) + ((h / Observe.kvHeads(a)) << 2)) == 0) unit(a, h, (i % tiles) * KEYS);
  }
}
