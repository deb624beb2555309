import { DecodeAttention } from "./lib/arguments";
import { barrier, claim, sharedScratch, threadScratch } from "./lib/control";
import { sizeOf } from "./lib/half";
import { Turn } from "./lib/keys";
import { exp1 } from "./lib/math";
import { prepareQueries, products, queryBytes } from "./lib/products";
import { addRow, exponentials, prepareLogits } from "./lib/softmax";
import { touchQuarters } from "./lib/touch";
import { CHUNK, weighValues } from "./lib/weigh";

// A head's rows are cut into chunks by their number alone, so that any number of workers gives the same bits. Each chunk leaves its maximum, its sum
// and its weighted values in shared scratch; a second phase adds them up in order.

/** Where a part lies: its maximum, its sum, two words of room, then its values. */
// @ts-ignore: decorator
@inline
function partAt(a: usize, piece: i32, g: i32, group: i32): usize { return sharedScratch() + <usize>(piece * group + g) * partBytes(a); }

// @ts-ignore: decorator
@inline
function partBytes(a: usize): usize { return 16 + (<usize>((DecodeAttention.headSize(a) + 3) & ~3) << 2); }

function chunk(a: usize, h: i32, piece: i32, first: i32, count: i32): void {
  const queryHeads = DecodeAttention.queryHeads(a);
  const kvHeads = DecodeAttention.kvHeads(a);
  const headSize = DecodeAttention.headSize(a);
  const dtype = DecodeAttention.kv(a);
  const scale = <f32>DecodeAttention.scale(a);
  const softcap = <f32>DecodeAttention.softcap(a);
  const group = queryHeads / kvHeads;
  const s = h / kvHeads;
  const start = <usize>load<i32>(DecodeAttention.offset(a) + (h << 2));
  const bytes = <usize>(headSize * sizeOf(dtype));
  const keys = DecodeAttention.keys(a) + start * bytes;
  const values = DecodeAttention.values(a) + (start + first) * bytes;
  const q = DecodeAttention.qkv(a) + (((<usize>s * (queryHeads + 2 * kvHeads) + (h % kvHeads) * group) * headSize) << 2);
  Turn.ranks = DecodeAttention.slot(a) ? DecodeAttention.cells(a) + ((<usize>DecodeAttention.arenaRows(a) + start) << 2) : 0;
  Turn.table = DecodeAttention.table(a);
  Turn.tableRows = DecodeAttention.tableRows(a);
  Turn.rotary = DecodeAttention.rotary(a);

  const queries = threadScratch();
  const logits = queries + <usize>group * queryBytes(headSize);
  const room = logits + <usize>group * (CHUNK * 4);
  prepareQueries(dtype, q, headSize, group, 1, 0, queries, room);
  touchQuarters(keys + <usize>first * bytes, <usize>count * bytes);
  touchQuarters(values, <usize>count * bytes);
  products(dtype, keys, headSize, first, count, queries, group, logits, CHUNK * 4, room);
  for (let g = 0; g < group; g++) {
    const part = partAt(a, piece, g, group);
    const row = logits + <usize>g * (CHUNK * 4);
    const whole = (count + 3) & ~3;
    const greatest = prepareLogits(row, whole, 0, count, scale, softcap);
    store<f32>(part, greatest);
    store<f32>(part, exponentials(row, whole, greatest), 4);
    for (let i = headSize; i < ((headSize + 3) & ~3); i++) store<f32>(part + 16 + (i << 2), 0);
  }
  weighValues(dtype, values, headSize, count, logits, group, partAt(a, piece, 0, group) + 16, partBytes(a));
}

// @ts-ignore: decorator
@inline
function countOf(a: usize, h: i32): i32 {
  const ended = load<i32>(DecodeAttention.ended(a) + ((h / DecodeAttention.kvHeads(a)) << 2)) != 0;
  return load<i32>(DecodeAttention.length(a) + (h << 2)) + (ended ? 0 : 1);
}

/** Adds up the chunks of one query head. */
function merge(a: usize, h: i32, g: i32, chunks: i32): void {
  const headSize = DecodeAttention.headSize(a);
  const padded = (headSize + 3) & ~3;
  const group = DecodeAttention.queryHeads(a) / DecodeAttention.kvHeads(a);
  const used = (countOf(a, h) + CHUNK - 1) / CHUNK;
  const head = h * group + g;
  const out = DecodeAttention.out(a) + ((<usize>head * headSize) << 2);
  const row = threadScratch();
  memory.fill(row, 0, padded << 2);
  let greatest: f32 = -Infinity;
  for (let c = 0; c < used; c++) greatest = max<f32>(greatest, load<f32>(partAt(a, h * chunks + c, g, group)));
  let total: f32 = 0;
  for (let c = 0; c < used; c++) {
    const part = partAt(a, h * chunks + c, g, group);
    const factor = exp1(load<f32>(part) - greatest);
    total += factor * load<f32>(part, 4);
    addRow(row, part + 16, padded, factor);
  }
  const inverse: f32 = total > 0 ? 1 / total : 0;
  for (let i = 0; i < headSize; i++) store<f32>(out + (i << 2), load<f32>(row + (i << 2)) * inverse);
  store<f32>(DecodeAttention.lse(a) + (head << 2), <f32>(<f64>greatest + NativeMath.log(total)));
}

export function decodeAttention(a: usize): void {
  const heads = DecodeAttention.sequences(a) * DecodeAttention.kvHeads(a);
  const group = DecodeAttention.queryHeads(a) / DecodeAttention.kvHeads(a);
  const chunks = (DecodeAttention.capacity(a) + CHUNK - 1) / CHUNK;
  for (let piece = claim(); piece < heads * chunks; piece = claim()) {
    const h = piece / chunks;
    const first = (piece % chunks) * CHUNK;
    const count = min(CHUNK, countOf(a, h) - first);
    if (count > 0) chunk(a, h, piece, first, count);
  }
  barrier();
  for (let i = claim(); i < heads * group; i = claim()) merge(a, i / group, i % group, chunks);
}
