import { randomUniform } from "@ziggurat/tensor";
import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";

interface Choice {
  readonly about: string;
  /** temperature, topK, topP, minP, penalty */
  readonly params: readonly [number, number, number, number, number];
  readonly vocabulary?: number;
  readonly history?: boolean;
  readonly logits?: (random: Random, count: number) => number[];
  readonly sequences?: number;
  /** Rows of logits and of history, one for each sequence in turn; both have as many. */
  readonly rows?: readonly { readonly logits: readonly number[]; readonly history: readonly number[] }[];
  /** Whether the running sum meets u x total exactly. */
  readonly exact?: boolean;
}

/** Logits of few tokens; the rest of the vocabulary is at `rest`. */
const peaks = (vocabulary: number, rest: number, tokens: Readonly<Record<number, number>>): number[] =>
  Array.from({ length: vocabulary }, (_, id) => tokens[id] ?? rest);
const seen = (vocabulary: number, tokens: Readonly<Record<number, number>>) => peaks(vocabulary, 0, tokens);

/** The token that is chosen tells whether, and how, the penalty of 2 was applied. */
const penalised = [
  // 40 / 2 < 30, so token 7; without the penalty, token 3.
  { logits: peaks(37, -60, { 3: 40, 7: 30 }), history: seen(37, { 3: 1 }) },
  // -20 x 2 < -30, so token 3; divided or left, it would be token 7.
  { logits: peaks(37, -200, { 3: -30, 7: -20 }), history: seen(37, { 7: 2 }) },
  // How often a token occurred does not matter: 60 / 2 > 20.
  { logits: peaks(37, -60, { 30: 60, 31: 20 }), history: seen(37, { 30: 3 }) },
  // A count of 0 or below is no occurrence.
  { logits: peaks(37, -60, { 5: 40, 6: 30 }), history: seen(37, { 5: -1 }) },
  { logits: peaks(37, -60, { 36: 40, 0: 30 }), history: seen(37, { 36: 1 }) },
] as const;

/** Tokens of equal weight, so that cuts by share meet their bounds exactly. */
const level = (vocabulary: number, count: number) => (_: Random, all: number) =>
  Array.from({ length: all }, (_, i) => (i % vocabulary < count ? 2 : Number.NEGATIVE_INFINITY));

const choices: readonly Choice[] = [
  { about: "greedy", params: [0, 0, 1, 0, 1] },
  {
    about: "greedy, ties",
    params: [0, 0, 1, 0, 1],
    logits: (random, count) => random.list(count, () => random.int(3)),
  },
  {
    about: "greedy, NaN and infinities",
    params: [0, 0, 1, 0, 1],
    logits: (random, count) => random.list(count, () => random.pick([Number.NaN, Number.NEGATIVE_INFINITY, 1, -2])),
  },
  {
    about: "all -Infinity",
    params: [1, 0, 1, 0, 1],
    logits: (_, count) => new Array<number>(count).fill(Number.NEGATIVE_INFINITY),
  },
  {
    about: "some -Infinity",
    params: [1, 0, 1, 0, 1],
    logits: (random, count) => random.list(count, () => random.pick([Number.NEGATIVE_INFINITY, 0, 1, 2])),
  },
  { about: "one token", params: [1, 0, 1, 0, 1], vocabulary: 1 },
  { about: "temperature", params: [0.7, 0, 1, 0, 1] },
  { about: "temperature, large vocabulary", params: [1.5, 0, 1, 0, 1], vocabulary: 5003 },
  { about: "top-k", params: [2, 5, 1, 0, 1] },
  { about: "top-k of 1", params: [2, 1, 1, 0, 1] },
  { about: "top-k beyond the vocabulary", params: [1, 1000, 1, 0, 1] },
  { about: "top-k, ties", params: [1, 4, 1, 0, 1], logits: (random, count) => random.list(count, () => random.int(3)) },
  { about: "top-p", params: [1, 0, 0.6, 0, 1] },
  { about: "top-p of 0", params: [1, 0, 0, 0, 1] },
  {
    about: "top-p, ties",
    params: [1, 0, 0.51, 0, 1],
    logits: (random, count) => random.list(count, () => random.int(3)),
  },
  { about: "min-p", params: [3, 0, 1, 0.1, 1] },
  { about: "all cuts", params: [1.3, 40, 0.9, 0.02, 1], vocabulary: 1000 },
  {
    about: "drawn, NaN",
    params: [1, 0, 1, 0, 1],
    logits: (random, count) => random.list(count, () => random.pick([Number.NaN, 1, 2])),
  },
  {
    about: "greedy, penalty, NaN",
    params: [0, 0, 1, 0, 2],
    history: true,
    logits: (random, count) => random.list(count, () => random.pick([Number.NaN, Number.NaN, 1, 2])),
  },
  { about: "penalty", params: [1, 0, 1, 0, 1.7], history: true },
  { about: "greedy, penalty", params: [0, 0, 1, 0, 5], history: true },
  { about: "all cuts, penalty", params: [0.9, 10, 0.8, 0.05, 1.2], vocabulary: 300, history: true },
  ...(
    [
      ["greedy", [0, 0, 1, 0, 2]],
      ["drawn", [1, 0, 1, 0, 2]],
      ["cut", [1, 4, 0.9, 0.1, 2]],
    ] as const
  ).map(([how, params]) => ({ about: `penalty decides, ${how}`, params, history: true, rows: penalised })),
  { about: "top-p at its bound", params: [1, 0, 0.5, 0, 1], sequences: 24, vocabulary: 37, logits: level(37, 4) },
  { about: "top-p at its bound after top-k", params: [1, 4, 0.75, 0, 1], sequences: 24, logits: level(37, 8) },
  { about: "top-p below its bound", params: [1, 0, 0.499, 0, 1], sequences: 24, logits: level(37, 4) },
  { about: "min-p at its bound", params: [1, 0, 1, 1, 1], sequences: 24, logits: level(37, 5) },
  {
    about: "the running sum at u x total",
    params: [1, 0, 1, 0, 1],
    vocabulary: 1024,
    logits: level(1024, 1024),
    exact: true,
  },
];

/** A seed whose number of `step` is a multiple of 1 / `parts`. */
function exactSeed(random: Random, step: number, parts: number): number {
  for (;;) {
    const seed = random.int(2 ** 31);
    const u = randomUniform(seed, step) * parts;
    if (u >= 1 && Number.isInteger(u)) return seed;
  }
}

const ring = 4;
const stopCount = 3;

export const sample: readonly Case[] = casesOf(
  "sample",
  choices.map(({ about, params, vocabulary = 37, history = false, logits, sequences = 6, rows, exact = false }) => ({
    about,
    spec: { sequences, vocabulary, ring, stopCount, history },
    inputs: (random: Random) => {
      const all = sequences * vocabulary;
      const steps = random.list(sequences, () => random.int(100));
      const row = (s: number) => rows![s % rows!.length]!;
      const each = Array.from({ length: sequences }, (_, s) => s);
      const drawn = () => (logits ? logits(random, all) : random.normal(all, 3));
      const counts = () => random.list(all, () => random.pick([0, 0, 1, 3]));
      return {
        logits: rows ? each.flatMap((s) => row(s).logits) : drawn(),
        params: each.flatMap(() => params),
        seeds: steps.map((step) => (exact ? exactSeed(random, step, vocabulary) : random.int(2 ** 32) - 2 ** 31)),
        // Stops that are often hit, and places that hold none.
        stops: random.list(sequences * stopCount, () =>
          random.pick([-1, 0, random.int(vocabulary), random.int(vocabulary)]),
        ),
        ...(history ? { history: rows ? each.flatMap((s) => row(s).history) : counts() } : {}),
        steps,
        // The fifth has ended.
        ended: each.map((s) => (s === 4 ? 1 : 0)),
        tokens: random.list(sequences, () => random.int(vocabulary)),
        ids: random.list(sequences * ring, () => random.int(vocabulary)),
      };
    },
  })),
);
