import type { Spec } from "@ziggurat/tensor";
import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { angles, poisoned, regions, sum } from "./data.js";

type Triple = readonly [number, number, number];
const dims = <L extends string>(letter: L, [x, y, z]: Triple) =>
  ({ [`${letter}0`]: x, [`${letter}1`]: y, [`${letter}2`]: z }) as Record<`${L}0` | `${L}1` | `${L}2`, number>;
const size = ([x, y, z]: Triple) => x * y * z;
const one: Triple = [1, 1, 1];

const load = casesOf(
  "load",
  (["f32", "f16", "bf16", "i32"] as const).flatMap((source) =>
    [
      { lengths: [1], capacity: 1, width: 2 },
      { lengths: [40, 0, 17], capacity: 40, width: 20 },
      { lengths: [3, 65], capacity: 70, width: 64 },
      ...(source === "i32"
        ? []
        : [
            { lengths: [30, 9], capacity: 33, width: 96, rotary: 96 },
            { lengths: [5], capacity: 6, width: 20, rotary: 8 },
          ]),
      ...(source === "i32" || source === "f32" ? [{ lengths: [100, 3, 0], capacity: 130, width: 1 }] : []),
    ].map(
      ({
        lengths,
        capacity,
        width,
        rotary,
      }: {
        lengths: number[];
        capacity: number;
        width: number;
        rotary?: number;
      }) => {
        const arenaRows = sum(lengths) + 2;
        return {
          about: `lengths ${lengths.join(" ")}`,
          spec: {
            heads: lengths.length,
            capacity,
            width,
            arenaRows,
            source,
            ...(rotary ? { rotate: true, rotary, tableRows: 20 } : {}),
          },
          inputs: (random: Random) => ({
            source:
              source === "i32"
                ? random.list(arenaRows * width, () => random.int(2 ** 24) - 2 ** 23)
                : random.normal(arenaRows * width, 4),
            ...(rotary
              ? { table: angles(random, 20, rotary), ranks: random.list(arenaRows, () => random.int(25)) }
              : {}),
            offset: regions(random, lengths, arenaRows),
            length: lengths,
          }),
        };
      },
    ),
  ),
);

const store = casesOf(
  "store",
  (
    [
      [[1], 1, 1, [0]],
      [[40, 0, 17, 3, 5, 6], 2, 41, [0, 1, 0]],
      [[300, 130], 1, 300, [0, 0]],
    ] as const
  ).map(([lengths, kvHeads, capacity, ended]) => {
    const arenaRows = sum(lengths) + 2;
    return {
      about: `lengths ${lengths.join(" ")}`,
      spec: { sequences: lengths.length / kvHeads, kvHeads, capacity, arenaRows },
      inputs: (random: Random) => ({
        x: poisoned(random.normal(lengths.length * capacity), lengths, 1, capacity),
        offset: regions(random, lengths, arenaRows),
        length: lengths,
        ended,
      }),
    };
  }),
);

const unaryInputs = {
  neg: (random: Random, n: number) => random.normal(n, 4),
  abs: (random: Random, n: number) => random.normal(n, 4),
  exp: (random: Random, n: number) => random.normal(n, 4),
  log: (random: Random, n: number) => random.normal(n, 6).map(Math.exp),
  sqrt: (random: Random, n: number) => random.normal(n, 6).map((x, i) => (i % 5 === 0 ? 0 : Math.exp(x))),
  not: (random: Random, n: number) => random.list(n, () => random.pick([0, -0, 1, -2, 1e-30])),
} as const;
const unary = casesOf("unary", [
  ...[1, 7, 1025].flatMap((elements) =>
    (Object.keys(unaryInputs) as (keyof typeof unaryInputs)[]).map((kind) => ({
      spec: { elements, x: "f32" as const, kind },
      inputs: (random: Random) => ({ x: unaryInputs[kind](random, elements) }),
    })),
  ),
  ...[1, 130].map((elements) => ({
    spec: { elements, x: "i32" as const, kind: "float" as const },
    inputs: (random: Random) => ({ x: random.list(elements, () => random.int(2 ** 25) - 2 ** 24) }),
  })),
]);

const binaryKinds = ["add", "sub", "mul", "div", "max", "min", "lt", "le", "gt", "ge", "eq", "and", "or"] as const;
const shapes: readonly { d: Triple; a: Triple; b: Triple }[] = [
  { d: one, a: one, b: one },
  { d: [3, 65, 1], a: [3, 65, 1], b: [3, 65, 1] },
  { d: [2, 17, 20], a: [2, 17, 20], b: [2, 1, 20] },
  { d: [3, 5, 7], a: [1, 5, 1], b: [3, 1, 7] },
  { d: [4, 130, 1], a: [4, 1, 1], b: [4, 130, 1] },
];
/** Few values, so that many are equal; none is 0 for what may divide. */
const values = (random: Random, n: number, zero: boolean) =>
  random.list(n, () => random.pick([-2, -1, zero ? 0 : 3, 0.5, 1, 2]));
const binary = casesOf("binary", [
  ...binaryKinds.flatMap((kind) =>
    shapes.map(({ d, a, b }) => ({
      spec: { ...dims("d", d), ...dims("a", a), ...dims("b", b), kind, value: 0 },
      inputs: (random: Random) => ({ a: values(random, size(a), true), b: values(random, size(b), kind !== "div") }),
    })),
  ),
  ...binaryKinds.map((kind, i) => ({
    spec: {
      ...dims("d", [2, 33, 1]),
      ...dims("a", [2, i % 2 ? 1 : 33, 1]),
      ...dims("b", one),
      kind,
      literal: true,
      value: [2, 0.1, -1][i % 3]!,
    },
    inputs: (random: Random) => ({ a: values(random, i % 2 ? 2 : 66, true) }),
  })),
  ...(["lt", "ge", "eq", "max", "min"] as const).map((kind) => ({
    about: "infinities",
    spec: {
      ...dims("d", [1, 33, 1]),
      ...dims("a", [1, 33, 1]),
      ...dims("b", one),
      kind,
      literal: true,
      value: Number.POSITIVE_INFINITY,
    },
    inputs: (random: Random) => ({
      a: random.list(33, () => random.pick([1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])),
    }),
  })),
]);

const where = casesOf(
  "where",
  shapes.flatMap(({ d, a, b }) =>
    [{}, { literalA: true }, { literalB: true }, { literalA: true, literalB: true }].map(
      (flags: { literalA?: boolean; literalB?: boolean }) => ({
        spec: {
          ...{
            ...dims("d", d),
            ...dims("m", a),
            ...dims("a", flags.literalA ? one : d),
            ...dims("b", flags.literalB ? one : b),
          },
          ...{ ...flags, valueA: Number.POSITIVE_INFINITY, valueB: -1.5 },
        },
        inputs: (random: Random) => ({
          mask: random.list(size(a), () => random.pick([0, -0, 1, 1, -3])),
          ...(flags.literalA ? {} : { a: random.normal(size(d)) }),
          ...(flags.literalB ? {} : { b: random.normal(size(b)) }),
        }),
      }),
    ),
  ),
);

const reductions: readonly { d: Triple; axis: 0 | 1 | 2; share?: number; lengths?: readonly number[] }[] = [
  { d: one, axis: 0 },
  { d: [5, 3, 20], axis: 0 },
  { d: [2, 3, 17], axis: 1 },
  { d: [4, 65, 1], axis: 1 },
  { d: [3, 7, 130], axis: 2 },
  { d: [2, 1, 1], axis: 2 },
  { d: [3, 65, 1], axis: 1, share: 1, lengths: [65, 0, 17] },
  { d: [6, 130, 1], axis: 1, share: 3, lengths: [129, 1] },
  { d: [3, 1, 1], axis: 1, share: 1, lengths: [5, 0, 1] },
  { d: [2, 40, 20], axis: 1, share: 1, lengths: [33, 7] },
  { d: [5, 1025, 1], axis: 1, share: 2, lengths: [1000, 1025, 3] },
];
const reduce = casesOf(
  "reduce",
  reductions.flatMap(({ d, axis, share = 1, lengths }) =>
    (["sum", "mean", "max", "min", "norm"] as const).map((kind) => ({
      ...(lengths ? { about: `lengths ${lengths.join(" ")}` } : {}),
      spec: {
        ...dims("d", d),
        share,
        ...(axis ? { axis } : {}),
        kind,
        ...(lengths ? { ragged: true } : {}),
      } satisfies Spec<"reduce">,
      inputs: (random: Random) => ({
        // Positive if sums are long, so that no sum cancels to less than f32 can represent.
        x: poisoned(
          random.normal(size(d)).map((x) => (size(d) > 2000 ? Math.abs(x) : x)),
          ...([lengths ?? new Array<number>(d[0]).fill(d[1]), share, d[1], d[2]] as const),
        ),
        ...(lengths ? { length: lengths } : {}),
      }),
    })),
  ),
);

const pool = casesOf(
  "pool",
  (["avg", "max"] as const).flatMap((kind) =>
    (
      [
        [[1], 1, 1, 1],
        [[17, 0, 1], 1, 20, 3],
        [[65, 40], 3, 65, 7],
        [[5, 0, 1], 1, 1, 3],
        [[3, 5], 1, 9, 21],
        [[300], 4, 310, 5],
        [[17, 0, 9], 2, 20, 5, 3],
        [[70], 3, 71, 7, 32],
      ] as readonly (readonly [readonly number[], number, number, number, number?])[]
    ).map(([lengths, share, capacity, kernel, size = 1]) => ({
      about: `lengths ${lengths.join(" ")}`,
      spec: { heads: lengths.length * share, capacity, size, kernel, share, kind } satisfies Spec<"pool">,
      // Mostly below 0: a maximum must not count missing entries as 0.
      inputs: (random: Random) => ({
        x: poisoned(
          random.normal(lengths.length * share * capacity * size).map((x) => x - 3),
          ...([lengths, share, capacity, size] as const),
        ),
        length: lengths,
      }),
    })),
  ),
);

const hash = casesOf(
  "hash",
  (
    [
      [1, 1, 1, 0],
      [6, 65, 2, 12345],
      [3, 300, 3, 2 ** 31 - 1],
    ] as const
  ).map(([heads, capacity, kvHeads, seed]) => ({
    spec: { heads, capacity, kvHeads, seed },
    inputs: (random: Random) => ({
      positions: random.list(heads * capacity, () => random.pick([0, 1, random.int(5000), random.int(2 ** 24 + 1)])),
    }),
  })),
);

export const tensor: readonly Case[] = [...load, ...store, ...unary, ...binary, ...where, ...reduce, ...pool, ...hash];
