import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { poisoned } from "./data.js";

interface Through {
  /** Rows of each KV head. */
  readonly lengths: readonly number[];
  readonly capacity: number;
  readonly size: number;
  /** Query heads that share a KV head. */
  readonly group: number;
  /** Whether x has rows for every query head. */
  readonly own?: true;
  /** Sequences that share the matrices. Default 1. */
  readonly sequences?: number;
}

const shapes: readonly Through[] = [
  { lengths: [1], capacity: 1, size: 2, group: 1 },
  { lengths: [5, 0, 9], capacity: 11, size: 6, group: 2 },
  { lengths: [65, 3], capacity: 70, size: 20, group: 3, own: true },
  { lengths: [64, 40, 1, 64], capacity: 64, size: 64, group: 2, sequences: 2 },
  { lengths: [300], capacity: 303, size: 80, group: 4 },
  { lengths: [33, 130], capacity: 131, size: 128, group: 1, own: true },
  { lengths: [70], capacity: 70, size: 256, group: 2 },
];

export const through: readonly Case[] = casesOf(
  "through",
  shapes.map(({ lengths, capacity, size, group, own, sequences = 1 }) => {
    const heads = lengths.length * group;
    const repeat = own ? 1 : group;
    const share = heads / sequences;
    return {
      about: `lengths ${lengths.join(" ")}`,
      spec: { heads, group, repeat, share, capacity, size },
      inputs: (random: Random) => ({
        x: poisoned(random.normal((heads / repeat) * capacity * size), lengths, group / repeat, capacity, size),
        gram: Array.from({ length: share }).flatMap(() => gramOf(random, size)),
        length: lengths,
      }),
    };
  }),
);

/** W^T W of a random matrix with twice as many rows as columns: nothing cancels in x . G x. */
function gramOf(random: Random, size: number): number[] {
  const rows = 2 * size;
  const w = random.normal(rows * size, size ** -0.5);
  const dot = (a: number, b: number) => {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += w[row * size + a]! * w[row * size + b]!;
    return sum;
  };
  const gram = new Array<number>(size * size).fill(0);
  for (let a = 0; a < size; a++) for (let b = 0; b <= a; b++) gram[a * size + b] = gram[b * size + a] = dot(a, b);
  return gram;
}
