import { OpError, type RowDType } from "@ziggurat/tensor";
import {
  at,
  counters,
  counterWords,
  float,
  int,
  type Launch,
  over,
  type Plan,
  scratch,
  threadsFor,
} from "../launch.js";

const sizeOf = (kv: RowDType) => (kv === "f32" ? 4 : 2);

export function checkHeadSize(op: string, headSize: number): void {
  if (headSize > 256) throw new OpError(`${op}: headSize is ${headSize}; the CUDA kernels take at most 256`);
}

const append: Plan<"append"> = ({ sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, planes, kv, ranks }) => {
  const operands = ["qkv", "keys", "values", "cells", "offset", "length", "seen", "ended"];
  const threads = threadsFor(Math.max(headSize, planes), 256);
  return {
    launches: [
      {
        ...{
          file: "append",
          kernel: `append_${kv}`,
          grid: [tokens, over(Math.max(headSize, planes), threads), sequences * kvHeads],
          threads,
        },
        args: [
          ...operands.map((name) => at(name)),
          ...int(tokens, queryHeads, kvHeads, headSize, arenaRows, planes, ranks),
        ],
      },
    ],
  };
};

/** Tensor-core kernels by head size: queries of a block and rows of a tile. */
const tiles: Readonly<Record<number, readonly [queries: number, keys: number]>> = {
  64: [128, 64],
  96: [128, 64],
  128: [128, 48],
  256: [64, 32],
};

const attention: Plan<"attention"> = (
  { tokens, queryHeads, kvHeads, headSize, kv, window, scale, softcap },
  { aligned, hopper },
) => {
  checkHeadSize("attention", headSize);
  const operands = ["qkv", "keys", "values", "offset", "length", "out", "lse"].map((name) => at(name));
  if (aligned && hopper && (headSize === 64 || headSize === 128) && kv !== "f32" && scale > 0) {
    return {
      launches: [
        {
          ...{
            file: "attention.sm90a",
            kernel: `attention_hopper_${kv}_${headSize}`,
            grid: [over(tokens, 128), queryHeads],
            threads: 384,
          },
          // Queries, two stages of K and V, alignment to 1024 bytes, barriers.
          shared: 5 * 128 * 2 * headSize + 2048,
          args: [...operands, ...int(tokens, queryHeads, kvHeads, window), ...float(scale, softcap)],
        },
      ],
    };
  }
  const tile = tiles[headSize];
  if (aligned && tile && kv !== "f32") {
    const [queries, keys] = tile;
    return {
      launches: [
        {
          ...{
            file: "attention",
            kernel: `attention_tile_${kv}_${headSize}`,
            grid: [over(tokens, queries), queryHeads],
            threads: 128,
          },
          shared: (queries + 2 * keys) * (2 * headSize + 16),
          args: [...operands, ...int(tokens, queryHeads, kvHeads, window), ...float(scale, softcap)],
        },
      ],
    };
  }
  return {
    launches: [
      {
        ...{ file: "attention", kernel: `attention_any_${kv}`, grid: [tokens, queryHeads], threads: 128 },
        args: [...operands, ...int(tokens, queryHeads, kvHeads, headSize, window), ...float(scale, softcap)],
      },
    ],
  };
};

/** Tensor-core kernels by head size: warps of a block, and stages of the ring of each warp. */
const decodeWarps: Readonly<Record<number, { readonly count: number; readonly stages: number }>> = {
  64: { count: 4, stages: 4 },
  96: { count: 4, stages: 3 },
  128: { count: 4, stages: 3 },
  256: { count: 2, stages: 3 },
};

const decodeAttention: Plan<"decodeAttention"> = (spec, { aligned, multiprocessors }) => {
  const { sequences, queryHeads, kvHeads, headSize, arenaRows, capacity, kv, scale, softcap, rotary, tableRows, slot } =
    spec;
  checkHeadSize("decodeAttention", headSize);
  const group = queryHeads / kvHeads;
  const lanes = headSize <= 64 ? 8 : headSize <= 128 ? 16 : 32;
  const heads = group === 1 ? 1 : 4;
  const passes = over(group, heads);
  // Enough chunks to fill the device twice. A chunk has at least 64 rows, and its scores fit into shared memory.
  const wanted = Math.max(1, over(2 * multiprocessors, sequences * kvHeads * passes));
  const chunk = Math.min(1024, Math.max(64, 32 * over(capacity, 32 * wanted)));
  const splits = over(capacity, chunk);
  const join = (splits: number, chunk: number): Launch => ({
    ...{
      file: "decode-attention",
      kernel: "decode_attention_join",
      grid: [sequences * queryHeads],
      threads: threadsFor(headSize, 256),
    },
    // The kernel reads 16 bytes at a time.
    shared: 16 * over(splits, 4),
    args: [
      at(scratch),
      at("length"),
      at("ended"),
      at("out"),
      at("lse"),
      ...int(queryHeads, kvHeads, headSize, chunk, splits),
    ],
  });
  const scratchOf = (splits: number) => 4 * sequences * queryHeads * splits * (headSize + 2);
  const warps = decodeWarps[headSize];
  // That kernel rotates whole keys, of the common sizes only.
  const turns = rotary === headSize && headSize !== 96;
  if (aligned && warps && kv !== "f32" && (!slot || turns)) {
    const passes = over(group, 16);
    const items = sequences * kvHeads * passes;
    // A multiprocessor holds two blocks. Few items run in one wave; many items get several waves, for balance.
    const slots = 2 * multiprocessors;
    const wanted = slots >= 4 * items ? Math.floor(slots / items) : over(4 * slots, items);
    const chunk = Math.max(128, 16 * warps.count * over(capacity, 16 * warps.count * wanted));
    const splits = over(capacity, chunk);
    const places = slot ? ["cells", "table"] : [];
    const operands = ["qkv", "keys", "values", ...places, "offset", "length", "ended", "out", "lse", scratch, counters];
    const kernel = `decode_attention_${slot ? "slot" : "tile"}_${kv}_${headSize}`;
    const first: Launch = {
      ...{ file: "decode-attention", kernel, grid: [splits, sequences * kvHeads, passes] },
      ...{ threads: 32 * warps.count, shared: warps.count * warps.stages * 64 * headSize },
      args: [
        ...operands.map((name) => at(name)),
        ...int(queryHeads, kvHeads, chunk, splits, ...(slot ? [arenaRows, tableRows] : [])),
        ...float(scale, softcap),
      ],
    };
    // The last block of an item merges the results of its chunks.
    if (items > counterWords && splits > 1)
      return { launches: [first, join(splits, chunk)], scratch: scratchOf(splits) };
    return splits === 1 ? { launches: [first] } : { launches: [first], scratch: scratchOf(splits), counters: true };
  }
  const operands = ["qkv", "keys", "values", "cells", "table", "offset", "length", "ended", "out", "lse", scratch];
  const vector = aligned && headSize % (16 / sizeOf(kv)) === 0;
  const first = {
    ...{
      file: "decode-attention",
      kernel: `decode_attention_${kv}_${lanes}_${heads}`,
      grid: [splits, sequences * kvHeads, passes] as const,
    },
    ...{ threads: 256, shared: 4 * heads * chunk },
    args: [
      ...operands.map((name) => at(name)),
      ...int(queryHeads, kvHeads, headSize, arenaRows, chunk, splits, rotary, tableRows, vector),
      ...float(scale, softcap),
    ],
  };
  return splits === 1 ? { launches: [first] } : { launches: [first, join(splits, chunk)], scratch: scratchOf(splits) };
};

/** Tensor-core kernels by head size: keys of a block. */
const watchKeys: Readonly<Record<number, number>> = { 64: 128, 96: 128, 128: 128, 256: 64 };

const watch: Plan<"watch"> = (spec, { aligned }) => {
  const {
    sequences,
    tokens,
    queryHeads,
    kvHeads,
    headSize,
    arenaRows,
    capacity,
    kv,
    from,
    rotary,
    tableRows,
    scale,
    softcap,
    slot,
  } = spec;
  checkHeadSize("watch", headSize);
  const keys = watchKeys[headSize];
  // A decode step has one query per sequence.
  if (aligned && keys && !slot && tokens > 1 && from < tokens && kv !== "f32") {
    const queries = tokens - from;
    const heads = sequences * queryHeads;
    // If queries are few, one block takes the heads that share keys in turn, so that keys are read once.
    const share = queries <= 256 ? queryHeads / kvHeads : 1;
    return {
      scratch: 2 * heads * queries * headSize,
      launches: [
        {
          ...{
            file: "watch",
            kernel: `watch_round_${kv}`,
            grid: [over((queries * headSize) / 8, 256), heads],
            threads: 256,
          },
          args: [at("qkv"), at(scratch), ...int(tokens, queryHeads, kvHeads, headSize, from)],
        },
        {
          ...{
            file: "watch",
            kernel: `watch_tile_${kv}_${headSize}`,
            grid: [over(capacity, keys), heads / share],
            threads: 128,
          },
          // The keys, later four stages of 32 queries.
          shared: 256 * headSize,
          args: [
            ...[scratch, "keys", "lse", "offset", "length", "ended", "mass"].map((name) => at(name)),
            ...int(tokens, queryHeads, kvHeads, capacity, from, share),
            ...float(scale, softcap),
          ],
        },
      ],
    };
  }
  const operands = ["qkv", "keys", "cells", "table", "lse", "offset", "length", "ended", "mass"];
  return {
    launches: [
      {
        ...{ file: "watch", kernel: `watch_${kv}`, grid: [over(capacity, 64), sequences * queryHeads], threads: 64 },
        shared: 4 * (64 * (headSize + 1) + 16 * headSize + 16),
        args: [
          ...operands.map((name) => at(name)),
          ...int(tokens, queryHeads, kvHeads, headSize, arenaRows, capacity, from, rotary, tableRows),
          ...float(scale, softcap),
        ],
      },
    ],
  };
};

const observe: Plan<"observe"> = (spec) => {
  const { sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, capacity, queries } = spec;
  const { kv, from, first, rotary, tableRows, scale, softcap } = spec;
  checkHeadSize("observe", headSize);
  const operands = ["qkv", "keys", "cells", "table", "lse", "offset", "length", "ended", "observed"];
  return {
    launches: [
      {
        ...{ file: "observe", kernel: `observe_${kv}`, grid: [over(capacity, 64), sequences * queryHeads] },
        ...{ threads: 64, shared: 4 * (64 * (headSize + 1) + 16 * headSize) },
        args: [
          ...operands.map((name) => at(name)),
          ...int(tokens, queryHeads, kvHeads, headSize, arenaRows, capacity, queries, from, first, rotary, tableRows),
          ...float(scale, softcap),
        ],
      },
    ],
  };
};

export const attentions = { append, attention, decodeAttention, watch, observe };
