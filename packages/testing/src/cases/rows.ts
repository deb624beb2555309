import { rowDTypes } from "@ziggurat/tensor";
import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { angles, positions, regions, sum } from "./data.js";

const advance = casesOf(
  "advance",
  (
    [
      [1, 1, 1, 1],
      [1, 3, 4, 1],
      [2, 5, 2, 17],
      [30, 2, 3, 130],
    ] as const
  ).map(([repeat, sequences, width, by]) => ({
    spec: { repeat, sequences, width, by },
    inputs: (random: Random) => ({
      counter: random.list(repeat * sequences * width, () => random.int(1000)),
      ended: random.list(sequences, () => random.pick([0, 0, 1])),
    }),
  })),
);

const odd = [Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0, -0, 1, -1, 1, 2];
interface Choice {
  readonly about: string;
  readonly lengths: readonly number[];
  readonly keep: readonly number[];
  readonly most: number;
  readonly capacity: number;
  readonly score: (random: Random) => number;
}
const choices: readonly Choice[] = [
  {
    about: "distinct",
    lengths: [40, 7, 64],
    keep: [10, 3, 32],
    most: 32,
    capacity: 64,
    score: (random) => random.normal(1)[0]!,
  },
  {
    about: "ties",
    lengths: [40, 7, 64, 33],
    keep: [10, 3, 31, 1],
    most: 32,
    capacity: 70,
    score: (random) => random.int(3),
  },
  { about: "all equal", lengths: [65, 130], keep: [20, 64], most: 64, capacity: 130, score: () => 0.5 },
  {
    about: "NaN, infinities, zeros of both signs",
    lengths: [50, 9, 33],
    keep: [25, 9, 30],
    most: 40,
    capacity: 50,
    score: (random) => random.pick(odd),
  },
  {
    about: "zeros of both signs",
    lengths: [40],
    keep: [17],
    most: 20,
    capacity: 40,
    score: (random) => random.pick([0, -0]),
  },
  { about: "only NaN", lengths: [17], keep: [5], most: 17, capacity: 17, score: () => Number.NaN },
  {
    about: "protected rows",
    lengths: [90],
    keep: [30],
    most: 30,
    capacity: 90,
    score: (random) => random.pick([Number.POSITIVE_INFINITY, random.next(), random.next()]),
  },
  {
    about: "keep beyond length and most",
    lengths: [5, 20, 20],
    keep: [2 ** 30, 20, 2 ** 30],
    most: 12,
    capacity: 20,
    score: (random) => random.int(4),
  },
  {
    about: "keep 0, no rows",
    lengths: [5, 0, 3, 0],
    keep: [0, 3, 1, 0],
    most: 4,
    capacity: 6,
    score: (random) => random.next(),
  },
  {
    about: "keep below 0",
    lengths: [5, 9],
    keep: [-1, -(2 ** 31)],
    most: 4,
    capacity: 9,
    score: (random) => random.next(),
  },
  { about: "one row", lengths: [1], keep: [1], most: 1, capacity: 1, score: () => -3 },
  {
    about: "nearly equal bits",
    lengths: [300],
    keep: [150],
    most: 150,
    capacity: 300,
    score: (random) => 1 + random.int(40) * 2 ** -23,
  },
  {
    about: "long, negative, tied",
    lengths: [3000, 2049],
    keep: [400, 2000],
    most: 2000,
    capacity: 3000,
    score: (random) => -random.int(500),
  },
  {
    about: "long, distinct",
    lengths: [2500],
    keep: [1024],
    most: 1024,
    capacity: 4096,
    score: (random) => random.normal(1, 1e6)[0]!,
  },
];
const topk = casesOf(
  "topk",
  choices.map(({ about, lengths, keep, most, capacity, score }) => {
    const arenaRows = sum(lengths) + 3;
    return {
      about,
      spec: { heads: lengths.length, capacity, most, arenaRows },
      inputs: (random: Random) => ({
        // The greatest scores are beyond the lengths.
        scores: random
          .list(lengths.length * capacity, () => score(random))
          .map((x, i) => (i % capacity < lengths[Math.floor(i / capacity)]! ? x : Number.POSITIVE_INFINITY)),
        positions: positions(random, arenaRows),
        offset: regions(random, lengths, arenaRows),
        length: lengths,
        keep,
      }),
    };
  }),
);

const order = casesOf(
  "order",
  (
    [
      [[1], 1],
      [[0, 5], 5],
      [[40, 64, 7], 70],
      [[3000, 1], 3000],
    ] as const
  ).map(([lengths, capacity]) => {
    const arenaRows = sum(lengths) + 2;
    return {
      about: `lengths ${lengths.join(" ")}`,
      spec: { heads: lengths.length, capacity, arenaRows },
      inputs: (random: Random) => ({
        positions: positions(random, arenaRows),
        offset: regions(random, lengths, arenaRows),
        length: lengths,
      }),
    };
  }),
);

/** `count` of `length` row numbers, ascending or not, then numbers that mean nothing up to `most`. */
const chosen = (random: Random, length: number, count: number, most: number, ascending: boolean): number[] => {
  const rows = random.permutation(length).slice(0, count);
  return [...(ascending ? rows.sort((a, b) => a - b) : rows), ...new Array<number>(most).fill(2 ** 28)].slice(0, most);
};

interface Move {
  readonly lengths: readonly number[];
  readonly counts: readonly number[];
  readonly headSize: number;
  readonly planes: number;
  readonly flags: { readonly values?: boolean; readonly ranks?: boolean };
  readonly rotary?: number;
}
const moves: readonly Move[] = [
  { lengths: [1], counts: [1], headSize: 2, planes: 1, flags: { values: true } },
  { lengths: [40, 0, 9], counts: [12, 0, 9], headSize: 20, planes: 3, flags: { values: true } },
  { lengths: [70, 65], counts: [33, 0], headSize: 64, planes: 2, flags: { values: true, ranks: true } },
  { lengths: [20], counts: [17], headSize: 96, planes: 1, flags: {} },
  { lengths: [130, 3], counts: [65, 3], headSize: 128, planes: 2, flags: { values: true, ranks: true }, rotary: 128 },
  { lengths: [40], counts: [30], headSize: 256, planes: 1, flags: { values: true }, rotary: 64 },
  { lengths: [10, 12, 14], counts: [4, 12, 1], headSize: 20, planes: 1, flags: {}, rotary: 20 },
];
const gather = casesOf(
  "gather",
  rowDTypes.flatMap((kv) =>
    moves.map(({ lengths, counts, headSize, planes, flags, rotary }) => {
      const heads = lengths.length;
      const arenaRows = sum(lengths) + 3;
      const targetRows = sum(counts) + 4;
      const most = Math.max(...counts) + 2;
      return {
        about: `${counts.join(" ")} of ${lengths.join(" ")}`,
        // A table shorter than some heads, so that positions are clamped.
        spec: {
          heads,
          most,
          headSize,
          arenaRows,
          targetRows,
          planes,
          kv,
          ...flags,
          ...(rotary ? { rotate: true, rotary, tableRows: 25 } : {}),
        },
        inputs: (random: Random) => ({
          keys: random.normal(arenaRows * headSize, 4),
          ...(flags.values
            ? {
                values: random.normal(arenaRows * headSize, 4),
                cells: random.list(planes * arenaRows, () => random.int(2 ** 32) - 2 ** 31),
              }
            : {}),
          ...(rotary ? { table: angles(random, 25, rotary) } : {}),
          offset: regions(random, lengths, arenaRows),
          rows: lengths.flatMap((length, h) => chosen(random, length, counts[h]!, most, h % 2 === 0)),
          count: counts,
          targetOffset: regions(random, counts, targetRows),
        }),
      };
    }),
  ),
);

interface Eviction {
  readonly kvHeads: number;
  readonly lengths: readonly number[];
  readonly counts: readonly number[];
  readonly ended?: readonly number[];
  readonly headSize: number;
  readonly planes: number;
}
const evictions: readonly Eviction[] = [
  { kvHeads: 1, lengths: [2], counts: [1], headSize: 2, planes: 2 },
  { kvHeads: 2, lengths: [40, 9, 17, 17, 5, 30], counts: [12, 9, 16, 1, 0, 29], headSize: 20, planes: 4 },
  { kvHeads: 2, lengths: [33, 65, 20, 8], counts: [32, 64, 3, 3], ended: [0, 1], headSize: 64, planes: 2 },
  { kvHeads: 1, lengths: [130, 3], counts: [65, 7], headSize: 96, planes: 3 },
  { kvHeads: 3, lengths: [300, 257, 256], counts: [128, 256, 255], headSize: 128, planes: 2 },
];
const evict = casesOf(
  "evict",
  rowDTypes.flatMap((kv) =>
    evictions.flatMap(({ kvHeads, lengths, counts, ended, headSize, planes }) =>
      [{}, { ordered: true }, { ranks: true }, { ordered: true, ranks: true }].map((flags) => {
        const sequences = lengths.length / kvHeads;
        const arenaRows = sum(lengths) + 2;
        const most = Math.max(...counts) + 1;
        return {
          about: `${counts.join(" ")} of ${lengths.join(" ")}`,
          spec: { sequences, kvHeads, capacity: Math.max(...lengths), most, headSize, arenaRows, planes, kv, ...flags },
          inputs: (random: Random) => {
            const offset = regions(random, lengths, arenaRows);
            const cells = random.list(planes * arenaRows, () => random.int(2 ** 32) - 2 ** 31);
            for (const [h, length] of lengths.entries()) {
              for (const [row, rank] of random.permutation(length).entries())
                cells[arenaRows + offset[h]! + row] = rank;
            }
            return {
              keys: random.normal(arenaRows * headSize, 4),
              values: random.normal(arenaRows * headSize, 4),
              ...{ cells, offset, length: lengths },
              rows: lengths.flatMap((length, h) => chosen(random, length, counts[h]!, most, true)),
              count: counts,
              ended: ended ?? new Array<number>(sequences).fill(0),
            };
          },
        };
      }),
    ),
  ),
);

export const rows: readonly Case[] = [...advance, ...topk, ...order, ...gather, ...evict];
