import { startPrefetch } from "./lib/prefetch";
import { DecodeAttention } from "./lib/arguments";
import { barrier, claim, sharedScratch, threadScratch } from "./lib/control";
import { sizeOf } from "./lib/half";
import { Turn } from "./lib/keys";
import { exp1 } from "./lib/math";
import { prepareQueries, queryBytes } from "./lib/products";
import { scores } from "./lib/scores";
import { addRow, boundLogits, greatest, LOG2_E, powers, scaleRow } from "./lib/softmax";
import { CHUNK, weighValues } from "./lib/weigh";

// The chunks of a head depend on its row count alone, so that results do not depend on the number of workers. Each
// chunk leaves its maximum, its sum and its weighted values in shared scratch. A second phase adds the chunks in order.

/** The place of a part: its maximum, its sum, two words of room, then its values. */
// @ts-ignore: decorator
@inline
function partAt(a: usize, piece: i32, g: i32, group: i32): usize {
  return sharedScratch() + <usize>(piece * group + g) * partBytes(a);
}

// @ts-ignore: decorator
@inline
function partBytes(a: usize): usize { return 16 + (<usize>((DecodeAttention.headSize(a) + 3) & ~3) << 2); }

// @ts-ignore: decorator
@inline
function countOf(a: usize, h: i32): i32 {
  const ended = load<i32>(DecodeAttention.ended(a) + ((h / DecodeAttention.kvHeads(a)) << 2)) != 0;
  const room = min(DecodeAttention.capacity(a),
    DecodeAttention.arenaRows(a) - load<i32>(DecodeAttention.offset(a) + (h << 2)));
  return min(load<i32>(DecodeAttention.length(a) + (h << 2)) + (ended ? 0 : 1), room);
}

// @ts-ignore: decorator
@inline
function rowBytes(a: usize): usize { return <usize>(DecodeAttention.headSize(a) * sizeOf(DecodeAttention.kv(a))); }

/** Makes the queries that share KV head `h` ready, at the start of this worker's room. */
function prepare(a: usize, h: i32): void {
  const queryHeads = DecodeAttention.queryHeads(a);
  const kvHeads = DecodeAttention.kvHeads(a);
  const headSize = DecodeAttention.headSize(a);
  const group = queryHeads / kvHeads;
  const start = <usize>load<i32>(DecodeAttention.offset(a) + (h << 2));
  const row = (h / kvHeads) * (queryHeads + 2 * kvHeads) + (h % kvHeads) * group;
  Turn.ranks = DecodeAttention.slot(a) ? DecodeAttention.cells(a)
    + ((<usize>DecodeAttention.arenaRows(a) + start) << 2) : 0;
  Turn.table = DecodeAttention.table(a);
  Turn.tableRows = DecodeAttention.tableRows(a);
  Turn.rotary = DecodeAttention.rotary(a);
  const queries = threadScratch();
  const bytes = <usize>group * queryBytes(headSize);
  prepareQueries(DecodeAttention.kv(a), DecodeAttention.qkv(a) + ((<usize>row * headSize) << 2), headSize,
    group, 1, 0, queries, queries + bytes);
  const softcap = DecodeAttention.softcap(a);
  scaleRow(queries, <i32>(bytes >> 2), <f32>(DecodeAttention.scale(a) * (softcap > 0 ? 1 / softcap : LOG2_E)));
}

/**
 * One chunk of a head's rows. Prefetches its values while its keys are read, then the keys of the chunk that follows.
 */
function chunk(a: usize, chunks: i32, piece: i32, following: i32): void {
  const headSize = DecodeAttention.headSize(a);
  const dtype = DecodeAttention.kv(a);
  const softcap = <f32>DecodeAttention.softcap(a);
  const group = DecodeAttention.queryHeads(a) / DecodeAttention.kvHeads(a);
  const bytes = rowBytes(a);
  const h = piece / chunks;
  const first = (piece % chunks) * CHUNK;
  const count = min(CHUNK, countOf(a, h) - first);
  const start = <usize>load<i32>(DecodeAttention.offset(a) + (h << 2));
  const values = DecodeAttention.values(a) + (start + first) * bytes;
  const queries = threadScratch();
  const logits = queries + <usize>group * queryBytes(headSize);
  startPrefetch(values, <usize>count * bytes);
  scores(dtype, DecodeAttention.keys(a) + start * bytes, headSize, first, count, queries, group, logits,
    logits + <usize>group * (CHUNK * 4));
  const whole = (count + 7) & ~7;
  for (let g = 0; g < group; g++) {
    const part = partAt(a, piece, g, group);
    const row = logits + <usize>g * (CHUNK * 4);
    if (softcap > 0) boundLogits(row, (count + 3) & ~3, softcap * LOG2_E);
    for (let i = count; i < whole; i++) store<f32>(row + (i << 2), -Infinity);
    const most = greatest(row, whole);
    store<f32>(part, most);
    store<f32>(part, powers(row, whole, most), 4);
    for (let i = headSize; i < ((headSize + 3) & ~3); i++) store<f32>(part + 16 + (i << 2), 0);
  }
  prefetchKeys(a, chunks, following);
  weighValues(dtype, values, headSize, count, logits, group, partAt(a, piece, 0, group) + 16, partBytes(a));
}

/** Prefetches the keys of a piece; a piece of -1 has none. */
function prefetchKeys(a: usize, chunks: i32, piece: i32): void {
  if (piece < 0) return startPrefetch(0, 0);
  const h = piece / chunks;
  const first = (piece % chunks) * CHUNK;
  const start = load<i32>(DecodeAttention.offset(a) + (h << 2)) + first;
  const count = min(CHUNK, countOf(a, h) - first);
  startPrefetch(DecodeAttention.keys(a) + <usize>start * rowBytes(a), <usize>count * rowBytes(a));
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
  let most: f32 = -Infinity;
  for (let c = 0; c < used; c++) most = max<f32>(most, load<f32>(partAt(a, h * chunks + c, g, group)));
  let total: f32 = 0;
  for (let c = 0; c < used; c++) {
    const part = partAt(a, h * chunks + c, g, group);
    const factor = exp1(<f32>(<f64>(load<f32>(part) - most) * Math.LN2));
    total += factor * load<f32>(part, 4);
    addRow(row, part + 16, padded, factor);
  }
  const inverse: f32 = total > 0 ? 1 / total : 0;
  for (let i = 0; i < headSize; i++) store<f32>(out + (i << 2), load<f32>(row + (i << 2)) * inverse);
  store<f32>(DecodeAttention.lse(a) + (head << 2), <f32>(<f64>most * Math.LN2 + NativeMath.log(total)));
}

/** The next piece with rows that nobody has, or -1. */
function nextPiece(a: usize, pieces: i32, chunks: i32): i32 {
  for (let piece = claim(); piece < pieces; piece = claim()) {
    if (countOf(a, piece / chunks) > (piece % chunks) * CHUNK) return piece;
  }
  return -1;
}

export function decodeAttention(a: usize): void {
  const heads = DecodeAttention.sequences(a) * DecodeAttention.kvHeads(a);
  const group = DecodeAttention.queryHeads(a) / DecodeAttention.kvHeads(a);
  const chunks = (DecodeAttention.capacity(a) + CHUNK - 1) / CHUNK;
  let prepared = -1;
  let piece = nextPiece(a, heads * chunks, chunks);
  while (piece >= 0) {
    const h = piece / chunks;
    if (h != prepared) prepare(a, h);
    prepared = h;
    const following = nextPiece(a, heads * chunks, chunks);
    chunk(a, chunks, piece, following);
    piece = following;
  }
  barrier();
  for (let i = claim(); i < heads * group; i = claim()) merge(a, i / group, i % group, chunks);
}
