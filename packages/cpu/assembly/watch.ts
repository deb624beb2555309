import { Watch } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { sizeOf } from "./lib/half";
import { packKeys, Turn } from "./lib/keys";
import { expSmall } from "./lib/math";
import { prepareQueries, products, queryBytes } from "./lib/products";
import { prepareLogits } from "./lib/softmax";
import { tile } from "./lib/tile";

// One worker takes the columns of a tile of keys and sums over the queries in ascending order.

const QUERIES = 48;
const KEYS = 64;
const FEW = 4; // Fewer queries than this do not pay for packing the keys.

function unit(a: usize, h: i32, first: i32): void {
  const tokens = Watch.tokens(a);
  const queryHeads = Watch.queryHeads(a);
  const kvHeads = Watch.kvHeads(a);
  const headSize = Watch.headSize(a);
  const dtype = Watch.kv(a);
  const scale = <f32>Watch.scale(a);
  const softcap = <f32>Watch.softcap(a);
  const group = queryHeads / kvHeads;
  const s = h / kvHeads;
  const length = load<i32>(Watch.length(a) + (h << 2));
  const start = <usize>load<i32>(Watch.offset(a) + (h << 2));
  const room = min(Watch.capacity(a), Watch.arenaRows(a) - <i32>start);
  const count = min(KEYS, min(length + tokens, room) - first);
  if (count <= 0) return;
  const whole = (count + 7) & ~7;
  const stride = <usize>(queryHeads + 2 * kvHeads) * headSize << 2;
  Turn.ranks = Watch.slot(a) ? Watch.cells(a) + ((<usize>Watch.arenaRows(a) + start) << 2) : 0;
  Turn.table = Watch.table(a);
  Turn.tableRows = Watch.tableRows(a);
  Turn.rotary = Watch.rotary(a);

  const from = max(Watch.from(a), first - length);
  const few = tokens - Watch.from(a) < FEW && group * (tokens - Watch.from(a)) <= QUERIES;
  const keys = Watch.keys(a) + start * <usize>(headSize * sizeOf(dtype));
  const panels = threadScratch();
  const logits = panels + KEYS * queryBytes(headSize);
  const sums = logits + QUERIES * KEYS * 4;
  const spare = sums + KEYS * 4;
  const qkv = Watch.qkv(a) + <usize>s * tokens * stride + (((h % kvHeads) * group * headSize) << 2);
  if (few) {
    prepareQueries(dtype, qkv + <usize>from * stride, headSize, group, tokens - from, stride, panels, spare);
    products(dtype, keys, headSize, first, count, panels, group * (tokens - from), logits, KEYS * 4, spare);
  } else {
    packKeys(dtype, keys, headSize, first, count, panels, spare);
  }
  for (let g = 0; g < group; g++) {
    const head = s * queryHeads + (h % kvHeads) * group + g;
    const lse = Watch.lse(a) + ((<usize>head * tokens) << 2);
    memory.fill(sums, 0, KEYS * 4);
    for (let query = from; query < tokens; query += QUERIES) {
      const queries = min(QUERIES, tokens - query);
      const q = qkv + <usize>query * stride + ((g * headSize) << 2);
      for (let j = 0; !few && j < count; j += 8) {
        tile(queries, headSize, q, stride, panels + ((j * headSize) << 2), 32, logits + (j << 2), KEYS * 4, false);
      }
      for (let i = 0; i < queries; i++) {
        const row = logits + (few ? i * group + g : i) * (KEYS * 4);
        prepareLogits(row, whole, 0, min(count, length + query + i + 1 - first), scale, softcap);
        const base = v128.load32_splat(lse + ((query + i) << 2));
        for (let j = 0; j < whole; j += 4) {
          const at = sums + (j << 2);
          v128.store(at, f32x4.add(v128.load(at), expSmall(f32x4.sub(v128.load(row + (j << 2)), base))));
        }
      }
    }
    const mass = Watch.mass(a) + ((<usize>head * Watch.capacity(a) + first) << 2);
    for (let j = 0; j < count; j++) {
      store<f32>(mass + (j << 2), load<f32>(mass + (j << 2)) + load<f32>(sums + (j << 2)));
    }
  }
}

export function watch(a: usize): void {
  const heads = Watch.sequences(a) * Watch.kvHeads(a);
  const tiles = (Watch.capacity(a) + KEYS - 1) / KEYS;
  for (let i = claim(); i < heads * tiles; i = claim()) {
    const h = i / tiles;
    if (load<i32>(Watch.ended(a) + ((h / Watch.kvHeads(a)) << 2)) == 0) unit(a, h, (i % tiles) * KEYS);
  }
}
