import { rowDTypes, type Spec } from "@ziggurat/tensor";
import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { angles, positions, regions, sum } from "./data.js";

/** Standard deviation of logits: large enough that single rows dominate, smaller for 16-bit storage and arithmetic. */
const spread = { f32: 8, f16: 4, bf16: 2.5 } as const;

type Heads = readonly [queryHeads: number, kvHeads: number, headSize: number];
type Kv = (typeof rowDTypes)[number];

/** Queries and keys whose logits, scaled by 1 / sqrt(headSize), have the deviation above; values in [-1, 1). */
export const queries = (random: Random, tokens: number, [queryHeads, kvHeads, headSize]: Heads, kv: Kv): number[] =>
  random.normal(tokens * (queryHeads + 2 * kvHeads) * headSize, Math.sqrt(spread[kv]));
export const keyRows = (random: Random, rows: number, headSize: number, kv: Kv): number[] =>
  random.normal(rows * headSize, Math.sqrt(spread[kv]));

/** Logits of this size overflow `exp` in f32, or all underflow, if the greatest is not subtracted. */
const raised = 256;

/**
 * Adds {@link raised} to all logits of an even query head and subtracts it from those of an odd one. The last number of
 * each query and key does so; it is exact in 16 bits, so that differences between rows stay accurate.
 */
export function raiseQueries(qkv: readonly number[], [queryHeads, kvHeads, headSize]: Heads): number[] {
  const width = (queryHeads + 2 * kvHeads) * headSize;
  return qkv.map((x, i) => {
    const head = Math.floor((i % width) / headSize);
    if (i % headSize !== headSize - 1 || head >= queryHeads) return x;
    return head % 2 === 0 ? 8 : -8;
  });
}
export const raiseKeys = (keys: readonly number[], headSize: number): number[] =>
  keys.map((x, i) => (i % headSize === headSize - 1 ? (raised / 8) * Math.sqrt(headSize) : x));

interface Prefill {
  readonly heads: Heads;
  readonly tokens: number;
  /** Rows of each KV head before the tokens. */
  readonly past: readonly number[];
  readonly window?: number;
  readonly softcap?: number;
  /** Whether logits reach several hundred, of either sign. */
  readonly raise?: boolean;
}
const prefills: readonly Prefill[] = [
  { heads: [1, 1, 2], tokens: 1, past: [0] },
  { heads: [2, 2, 20], tokens: 3, past: [0, 5] },
  { heads: [3, 1, 64], tokens: 17, past: [1] },
  { heads: [4, 1, 64], tokens: 65, past: [40] },
  { heads: [6, 2, 96], tokens: 17, past: [70, 3] },
  { heads: [8, 2, 20], tokens: 130, past: [0, 0] },
  { heads: [2, 1, 128], tokens: 130, past: [33] },
  // Several tiles of any size, the last one partial.
  { heads: [2, 1, 128], tokens: 140, past: [450] },
  { heads: [2, 1, 64], tokens: 300, past: [0], softcap: 20 },
  { heads: [2, 1, 64], tokens: 200, past: [390], window: 260 },
  { heads: [4, 2, 256], tokens: 5, past: [0, 129] },
  { heads: [2, 1, 256], tokens: 70, past: [3] },
  { heads: [4, 2, 128], tokens: 150, past: [5, 61], window: 70 },
  { heads: [4, 2, 64], tokens: 33, past: [31, 200], window: 16 },
  { heads: [3, 3, 20], tokens: 65, past: [0, 1, 64], window: 1 },
  { heads: [2, 1, 64], tokens: 17, past: [9], window: 1000 },
  { heads: [4, 2, 64], tokens: 3, past: [10, 20], softcap: 5 },
  { heads: [4, 1, 96], tokens: 40, past: [7], window: 20, softcap: 30 },
  { heads: [4, 2, 64], tokens: 70, past: [31, 90], raise: true },
  { heads: [2, 1, 128], tokens: 130, past: [400], raise: true },
  { heads: [2, 1, 64], tokens: 40, past: [100], window: 33, raise: true },
];

const append = casesOf(
  "append",
  rowDTypes.flatMap((kv) =>
    (
      [
        { heads: [3, 1, 64], sequences: 1, tokens: 1, past: [0], planes: 1, keys: true, values: true, cells: true },
        {
          heads: [4, 2, 20],
          sequences: 3,
          tokens: 1,
          past: [5, 0, 2, 2, 9, 1],
          planes: 4,
          keys: true,
          values: true,
          cells: true,
          ranks: true,
        },
        {
          heads: [2, 2, 96],
          sequences: 1,
          tokens: 17,
          past: [3, 11],
          planes: 2,
          keys: true,
          values: true,
          cells: true,
          ranks: true,
        },
        { heads: [4, 1, 128], sequences: 1, tokens: 65, past: [0], planes: 1, keys: true },
        { heads: [2, 1, 64], sequences: 2, tokens: 3, past: [4, 8], planes: 1, values: true },
        { heads: [2, 2, 20], sequences: 3, tokens: 2, past: [1, 2, 3, 4, 5, 6], planes: 3, cells: true },
      ] as const
    ).map(({ heads, sequences, tokens, past, ...flags }) => {
      const [queryHeads, kvHeads, headSize] = heads;
      // Room for exactly the new tokens: one more would overwrite a neighbour.
      const sizes = past.map((rows) => rows + tokens);
      const arenaRows = sum(sizes);
      return {
        spec: { sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, kv, ...flags },
        inputs: (random: Random) => ({
          qkv: queries(random, sequences * tokens, heads, kv),
          offset: regions(random, sizes, arenaRows),
          length: past,
          seen: past.map((rows) => rows + random.int(1000)),
          ended: random.list(sequences, () => 0).map((_, s) => (s === 1 ? 1 : 0)),
        }),
      };
    }),
  ),
);

const attention = casesOf(
  "attention",
  rowDTypes.flatMap((kv) =>
    prefills.map(({ heads, tokens, past, window, softcap = 0, raise }) => {
      const [queryHeads, kvHeads, headSize] = heads;
      const sizes = past.map((rows) => rows + tokens);
      const arenaRows = sum(sizes) + 3;
      return {
        about: `past ${past.join(" ")}${raise ? ", large logits" : ""}`,
        spec: {
          tokens,
          queryHeads,
          kvHeads,
          headSize,
          arenaRows,
          kv,
          scale: headSize ** -0.5,
          softcap,
          ...(window ? { window } : {}),
        },
        inputs: (random: Random) => {
          const qkv = queries(random, tokens, heads, kv);
          const keys = keyRows(random, arenaRows, headSize, kv);
          return {
            qkv: raise ? raiseQueries(qkv, heads) : qkv,
            keys: raise ? raiseKeys(keys, headSize) : keys,
            values: random.uniform(arenaRows * headSize),
            offset: regions(random, sizes, arenaRows),
            length: past,
          };
        },
      };
    }),
  ),
);

export interface Decode {
  readonly heads: Heads;
  /** Rows of each (sequence, KV head), the newest not counted. */
  readonly past: readonly number[];
  readonly ended?: readonly number[];
  readonly softcap?: number;
  /** With slot: how many numbers of a key are rotated. */
  readonly rotary?: number;
  /** Whether logits reach several hundred, of either sign. Needs a number that is not rotated. */
  readonly raise?: boolean;
}
export const decodes: readonly Decode[] = [
  { heads: [1, 1, 2], past: [0] },
  { heads: [3, 1, 64], past: [16] },
  { heads: [4, 2, 20], past: [0, 1, 64, 2, 30, 7], ended: [0, 1, 0] },
  { heads: [2, 2, 96], past: [3, 0, 0, 0], ended: [0, 7] },
  { heads: [4, 1, 128], past: [300] },
  { heads: [6, 2, 64], past: [1025, 40] },
  { heads: [20, 1, 128], past: [430] },
  { heads: [8, 2, 128], past: [900, 0, 13, 500], ended: [0, 1] },
  { heads: [4, 2, 256], past: [129, 65] },
  { heads: [2, 2, 256], past: [70, 3] },
  { heads: [8, 2, 20], past: [20, 33], softcap: 6 },
  { heads: [4, 2, 64], past: [5, 130], rotary: 64 },
  { heads: [8, 2, 128], past: [300, 17], rotary: 128 },
  { heads: [4, 2, 256], past: [33, 140], rotary: 256, softcap: 9 },
  { heads: [3, 1, 20], past: [17, 40, 1], ended: [1, 0, 0], rotary: 20 },
  { heads: [4, 1, 96], past: [66, 3], rotary: 32, softcap: 10 },
  { heads: [4, 2, 64], past: [5, 130], raise: true },
  { heads: [2, 1, 128], past: [1100], raise: true },
  { heads: [4, 1, 96], past: [66, 3], rotary: 32, raise: true },
];

export const slotOf = (rotary: number | undefined) =>
  rotary === undefined ? {} : { slot: true, planes: 3, rotary, tableRows: 64 };

/** Cells with ranks in plane 1, some beyond a table of 64 rows. */
export const slotInputs = (random: Random, arenaRows: number, rotary: number | undefined) =>
  rotary === undefined
    ? {}
    : {
        table: angles(random, 64, rotary),
        cells: [
          ...positions(random, arenaRows),
          ...random.list(arenaRows, () => random.int(70)),
          ...random.list(arenaRows, () => 7),
        ],
      };

const decodeAttention = casesOf(
  "decodeAttention",
  rowDTypes.flatMap((kv) =>
    decodes.map(({ heads, past, ended, softcap = 0, rotary, raise }) => {
      const [queryHeads, kvHeads, headSize] = heads;
      const sequences = past.length / kvHeads;
      const sizes = past.map((rows) => rows + 1);
      const arenaRows = sum(sizes) + 2;
      const spec: Spec<"decodeAttention"> = {
        ...{ sequences, queryHeads, kvHeads, headSize, arenaRows, capacity: Math.max(...sizes), kv },
        ...{ scale: headSize ** -0.5, softcap, ...slotOf(rotary) },
      };
      return {
        about: `past ${past.join(" ")}${raise ? ", large logits" : ""}`,
        spec,
        inputs: (random: Random) => {
          const qkv = queries(random, sequences, heads, kv);
          const keys = keyRows(random, arenaRows, headSize, kv);
          return {
            qkv: raise ? raiseQueries(qkv, heads) : qkv,
            keys: raise ? raiseKeys(keys, headSize) : keys,
            values: random.uniform(arenaRows * headSize),
            ...slotInputs(random, arenaRows, rotary),
            offset: regions(random, sizes, arenaRows),
            length: past,
            ended: ended ?? new Array<number>(sequences).fill(0),
          };
        },
      };
    }),
  ),
);

/** Numbers halfway between two of 16 bits, on both sides of an even one, and their neighbours in f32. */
const halfway = { f16: 2 ** -11, bf16: 2 ** -8 } as const;
const appendTies = casesOf(
  "append",
  (["f16", "bf16"] as const).map((kv) => ({
    about: "ties of rounding",
    spec: {
      ...{ sequences: 1, tokens: 3, queryHeads: 1, kvHeads: 1, headSize: 32, arenaRows: 3, planes: 1, kv },
      ...{ keys: true, values: true },
    },
    inputs: (random: Random) => ({
      qkv: random.list(3 * 3 * 32, () => {
        const steps = 1 + 2 * random.int(8) * halfway[kv] + halfway[kv];
        return random.pick([1, -1]) * 2 ** random.int(6) * (steps + random.pick([0, 0, 2 ** -20, -(2 ** -20)]));
      }),
      offset: [0],
      length: [0],
      seen: [0],
      ended: [0],
    }),
    // Rounding to nearest, ties to even, leaves nothing open.
    magnitude: () => 0,
  })),
);

export const attentions: readonly Case[] = [...append, ...appendTies, ...attention, ...decodeAttention];
