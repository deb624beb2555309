import { Attention } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { sizeOf } from "./lib/half";
import { packKeys, Turn, unpackValues } from "./lib/keys";
import { exp1 } from "./lib/math";
import { exponentials, prepareLogits, scaleRow } from "./lib/softmax";
import { tile } from "./lib/tile";

// Each tile of queries goes over tiles of keys with a running maximum and sum (FlashAttention, arXiv 2205.14135). All
// query heads of a KV head are computed together, so that its keys and values are unpacked once. `src/scratch.ts`
// states how much scratch that takes.

const QUERIES = 48;
const KEYS = 64;

function unit(a: usize, h: i32, firstQuery: i32): void {
  const queryHeads = Attention.queryHeads(a);
  const kvHeads = Attention.kvHeads(a);
  const headSize = Attention.headSize(a);
  const window = Attention.window(a);
  const dtype = Attention.kv(a);
  const scale = <f32>Attention.scale(a);
  const softcap = <f32>Attention.softcap(a);
  const group = queryHeads / kvHeads;
  const padded = (headSize + 7) & ~7;
  const queries = min(QUERIES, Attention.tokens(a) - firstQuery);
  const offset = <usize>load<i32>(Attention.offset(a) + (h << 2));
  const room = Attention.arenaRows(a) - <i32>offset - Attention.tokens(a);
  const length = max(0, min(load<i32>(Attention.length(a) + (h << 2)), room));
  const arena = offset * <usize>(headSize * sizeOf(dtype));
  const stride = <usize>(queryHeads + 2 * kvHeads) * headSize << 2;

  const panels = threadScratch();
  const values = panels + KEYS * headSize * 4;
  const logits = values + KEYS * padded * 4;
  const spare = logits + QUERIES * KEYS * 4;
  const greatests = spare + 8 * headSize * 4;
  const totals = greatests + group * QUERIES * 4;
  const sums = totals + group * QUERIES * 4;
  memory.fill(totals, 0, group * QUERIES * (4 + padded * 4));
  for (let i = 0; i < group * queries; i++) store<f32>(greatests + (i << 2), -Infinity);

  const end = length + firstQuery + queries;
  let first = 0;
  if (window > 0) first = max(0, length + firstQuery + 1 - window) & ~(KEYS - 1);
  for (; first < end; first += KEYS) {
    const count = min(KEYS, end - first);
    const whole = (count + 7) & ~7;
    packKeys(dtype, Attention.keys(a) + arena, headSize, first, count, panels, spare);
    unpackValues(dtype, Attention.values(a) + arena, headSize, padded, first, count, values);
    for (let g = 0; g < group; g++) {
      const q = Attention.qkv(a) + <usize>firstQuery * stride + (((h * group + g) * headSize) << 2);
      for (let j = 0; j < count; j += 8) {
        tile(queries, headSize, q, stride, panels + ((j * headSize) << 2), 32, logits + (j << 2), KEYS * 4, false);
      }
      for (let i = 0; i < queries; i++) {
        const row = logits + i * (KEYS * 4);
        const last = min(count, length + firstQuery + i + 1 - first);
        const start = window > 0 ? min(count, max(0, length + firstQuery + i + 1 - window - first)) : 0;
        const slot = (g * queries + i) << 2;
        const old = load<f32>(greatests + slot);
        const greatest = max<f32>(old, prepareLogits(row, whole, start, max(0, last), scale, softcap));
        if (greatest == -Infinity) {
          memory.fill(row, 0, whole << 2);
          continue;
        }
        const total = exponentials(row, whole, greatest);
        if (greatest == old) {
          store<f32>(totals + slot, load<f32>(totals + slot) + total);
          continue;
        }
        const shrink = exp1(old - greatest);
        store<f32>(greatests + slot, greatest);
        store<f32>(totals + slot, load<f32>(totals + slot) * shrink + total);
        scaleRow(sums + (slot >> 2) * (padded << 2), padded, shrink);
      }
      const out = sums + g * queries * (padded << 2);
      for (let c = 0; c < padded; c += 8) {
        tile(queries, count, logits, KEYS * 4, values + (c << 2), padded << 2, out + (c << 2), padded << 2, true);
      }
    }
  }

  for (let g = 0; g < group; g++) {
    const head = h * group + g;
    for (let i = 0; i < queries; i++) {
      const slot = g * queries + i;
      const total = load<f32>(totals + (slot << 2));
      const sumRow = sums + slot * (padded << 2);
      if (total > 0) scaleRow(sumRow, padded, 1 / total);
      memory.copy(Attention.out(a) + ((((<usize>firstQuery + i) * queryHeads + head) * headSize) << 2), sumRow,
        headSize << 2);
      const lse = <f64>load<f32>(greatests + (slot << 2)) + NativeMath.log(total);
      store<f32>(Attention.lse(a) + ((<usize>head * Attention.tokens(a) + firstQuery + i) << 2), <f32>lse);
    }
  }
}

export function attention(a: usize): void {
  Turn.ranks = 0;
  const tiles = (Attention.tokens(a) + QUERIES - 1) / QUERIES;
  const units = Attention.kvHeads(a) * tiles;
  // The last queries see the most rows, so they go first.
  for (let i = claim(); i < units; i = claim()) {
    unit(a, i % Attention.kvHeads(a), (tiles - 1 - i / Attention.kvHeads(a)) * QUERIES);
  }
}
