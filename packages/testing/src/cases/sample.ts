import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";

interface Choice {
  readonly about: string;
  /** temperature, topK, topP, minP, penalty */
  readonly params: readonly [number, number, number, number, number];
  readonly vocabulary?: number;
  readonly history?: boolean;
  readonly logits?: (random: Random, count: number) => number[];
}

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
  { about: "penalty", params: [1, 0, 1, 0, 1.7], history: true },
  { about: "greedy, penalty", params: [0, 0, 1, 0, 5], history: true },
  { about: "all cuts, penalty", params: [0.9, 10, 0.8, 0.05, 1.2], vocabulary: 300, history: true },
];

const sequences = 6;
const ring = 4;
const stopCount = 3;

export const sample: readonly Case[] = casesOf(
  "sample",
  choices.map(({ about, params, vocabulary = 37, history = false, logits }) => ({
    about,
    spec: { sequences, vocabulary, ring, stopCount, history },
    inputs: (random: Random) => ({
      logits: logits ? logits(random, sequences * vocabulary) : random.normal(sequences * vocabulary, 3),
      params: Array.from({ length: sequences }).flatMap(() => params),
      seeds: random.list(sequences, () => random.int(2 ** 32) - 2 ** 31),
      // Stops that are often met, and places that hold none.
      stops: random.list(sequences * stopCount, () =>
        random.pick([-1, 0, random.int(vocabulary), random.int(vocabulary)]),
      ),
      ...(history ? { history: random.list(sequences * vocabulary, () => random.pick([0, 0, 1, 3])) } : {}),
      steps: random.list(sequences, () => random.int(100)),
      ended: [0, 0, 0, 0, 1, 0],
      tokens: random.list(sequences, () => random.int(vocabulary)),
      ids: random.list(sequences * ring, () => random.int(vocabulary)),
    }),
  })),
);
