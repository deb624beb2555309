import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";

const fill = casesOf("fill", [
  ...[1, 5, 1025].flatMap((words) =>
    [0, -1.5, Number.NEGATIVE_INFINITY].map((value) => ({
      spec: { words, dtype: "f32" as const, value },
      inputs: () => ({}),
    })),
  ),
  ...[1, 130].flatMap((words) =>
    [0, -1, 2 ** 31 - 1].map((value) => ({ spec: { words, dtype: "i32" as const, value }, inputs: () => ({}) })),
  ),
]);

const copy = casesOf(
  "copy",
  [1, 3, 17, 1025].map((words) => ({
    spec: { words },
    // Any bits, including those of NaN.
    inputs: (random: Random) => ({
      x: random.list(words, () => random.pick([random.int(2 ** 32) - 2 ** 31, 0x7f800001, 0x7fc01234, -1])),
    }),
  })),
);

export const bytes: readonly Case[] = [...fill, ...copy];
