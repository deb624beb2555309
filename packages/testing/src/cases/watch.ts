import {
  fromBFloat16,
  fromFloat16,
  type RowDType,
  rowDTypes,
  type Spec,
  toBFloat16,
  toFloat16,
} from "@ziggurat/tensor";
import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { type Decode, keyRows, queries, raiseKeys, raiseQueries, slotInputs, slotOf } from "./attention.js";
import { regions, sum } from "./data.js";

interface Watch extends Decode {
  readonly tokens: number;
  readonly from?: number;
  /** Capacity beyond the longest head. */
  readonly spare?: number;
}

const watches: readonly Watch[] = [
  { heads: [1, 1, 2], tokens: 1, past: [0] },
  { heads: [4, 2, 20], tokens: 1, past: [3, 40, 0, 7, 9, 70], ended: [0, 1, 0], spare: 5 },
  { heads: [3, 1, 64], tokens: 17, past: [5] },
  { heads: [3, 1, 64], tokens: 17, past: [5], from: 9, spare: 1 },
  { heads: [4, 1, 96], tokens: 65, past: [0], from: 33 },
  { heads: [8, 2, 20], tokens: 130, past: [0, 31], from: 66, spare: 3 },
  { heads: [2, 2, 128], tokens: 65, past: [64, 1] },
  { heads: [4, 2, 128], tokens: 210, past: [0, 140], from: 3, spare: 2 },
  { heads: [4, 2, 256], tokens: 40, past: [20, 133], from: 2, softcap: 10 },
  { heads: [4, 2, 256], tokens: 3, past: [20, 33], from: 2 },
  { heads: [2, 1, 64], tokens: 3, past: [10, 2], softcap: 6 },
  { heads: [2, 1, 64], tokens: 1, past: [40, 65, 3], ended: [0, 0, 1], rotary: 64 },
  { heads: [4, 2, 20], tokens: 17, past: [12, 3], rotary: 8, from: 1 },
  { heads: [4, 2, 64], tokens: 17, past: [5, 40], raise: true },
];

const stored: Record<RowDType, (x: number) => number> = {
  f32: Math.fround,
  f16: (x) => fromFloat16(toFloat16(x)),
  bf16: (x) => fromBFloat16(toBFloat16(x)),
};

/**
 * Log-sum-exp of every query over the rows that it sees, of keys as they are stored: [sequences x queryHeads, tokens].
 */
function logSumExp(
  spec: Spec<"watch">,
  qkv: readonly number[],
  keys: readonly number[],
  offset: readonly number[],
  past: readonly number[],
  turn: Turn,
) {
  const { sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, kv, scale, softcap } = spec;
  // Once for all queries: rounding to 16 bits is slow.
  const rows = Array.from({ length: arenaRows }, (_, row) =>
    turn(keys.slice(row * headSize, (row + 1) * headSize).map(stored[kv]), row),
  );
  return Array.from({ length: sequences * queryHeads * tokens }, (_, index) => {
    const head = Math.floor(index / tokens);
    const i = index % tokens;
    const s = Math.floor(head / queryHeads);
    const h = s * kvHeads + Math.floor(((head % queryHeads) * kvHeads) / queryHeads);
    const query = ((s * tokens + i) * (queryHeads + 2 * kvHeads) + (head % queryHeads)) * headSize;
    let total = 0;
    for (let row = offset[h]!; row <= offset[h]! + past[h]! + i; row++) {
      const product = scale * rows[row]!.reduce((all, k, n) => all + k * qkv[query + n]!, 0);
      total += Math.exp(softcap > 0 ? softcap * Math.tanh(product / softcap) : product);
    }
    return Math.log(total);
  });
}

type Turn = (key: readonly number[], row: number) => readonly number[];

/** Rotates keys by the ranks in plane 1 of `cells`. */
function turnBy(
  { rotary = 0, tableRows = 0, arenaRows }: Spec<"watch">,
  cells: readonly number[],
  table: readonly number[],
): Turn {
  const half = rotary / 2;
  return (key, row) => {
    const at = Math.min(cells[arenaRows + row]!, tableRows - 1) * rotary;
    const turned = [...key];
    for (let j = 0; j < half; j++) {
      const [cos, sin] = [table[at + j]!, table[at + half + j]!];
      turned[j] = key[j]! * cos - key[j + half]! * sin;
      turned[j + half] = key[j + half]! * cos + key[j]! * sin;
    }
    return turned;
  };
}

/** Every watch in every dtype: its spec, and its inputs without what is written. */
export const watched = rowDTypes.flatMap((kv) =>
  watches.map(({ heads, tokens, past, ended, softcap = 0, rotary, from, spare = 0, raise }) => {
    const [queryHeads, kvHeads, headSize] = heads;
    const sequences = past.length / kvHeads;
    const sizes = past.map((rows) => rows + tokens);
    const arenaRows = sum(sizes) + 2;
    const spec: Spec<"watch"> = {
      ...{ sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, capacity: Math.max(...sizes) + spare, kv },
      ...{ scale: headSize ** -0.5, softcap, ...(from ? { from } : {}), ...slotOf(rotary) },
    };
    return {
      about: `past ${past.join(" ")}${raise ? ", large logits" : ""}`,
      spec,
      inputs: (random: Random) => {
        const plainQkv = queries(random, sequences * tokens, heads, kv);
        const plainKeys = keyRows(random, arenaRows, headSize, kv);
        const qkv = raise ? raiseQueries(plainQkv, heads) : plainQkv;
        const keys = raise ? raiseKeys(plainKeys, headSize) : plainKeys;
        const offset = regions(random, sizes, arenaRows);
        const slot = slotInputs(random, arenaRows, rotary);
        const turn: Turn = slot.cells ? turnBy(spec, slot.cells, slot.table) : (key) => key;
        return {
          ...{ qkv, keys, offset, ...slot },
          lse: logSumExp(spec, qkv, keys, offset, past, turn),
          length: past,
          ended: ended ?? new Array<number>(sequences).fill(0),
        };
      },
    };
  }),
);

export const watch: readonly Case[] = casesOf(
  "watch",
  watched.map(({ about, spec, inputs }) => ({
    ...{ about, spec },
    inputs: (random: Random) => ({
      ...inputs(random),
      mass: random.uniform(spec.sequences * spec.queryHeads * spec.capacity),
    }),
  })),
);
