import { isQuantised, type Spec, weightDTypes } from "@ziggurat/tensor";
import { type Case, type CaseOf, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { angles, dequantised, weights } from "./data.js";

const embed = casesOf(
  "embed",
  weightDTypes.flatMap((weight) =>
    [1, 3, 65].map((tokens, i) => {
      const vocabulary = [1, 7, 50][i]!;
      const width = [32, 64, 96][i]!;
      return {
        spec: { tokens, vocabulary, width, weight, scale: [1, 8, -0.5][i]! },
        inputs: (random: Random) => ({
          ids: [-1, vocabulary, vocabulary - 1, ...random.list(tokens, () => random.int(vocabulary))].slice(0, tokens),
          table: weights(random, weight, vocabulary, width),
        }),
      };
    }),
  ),
);

const rmsNorm = casesOf(
  "rmsNorm",
  (
    [
      [1, 1],
      [3, 20],
      [17, 64],
      [2, 1025],
      [130, 33],
    ] as const
  ).map(([rows, width]) => ({
    spec: { rows, width, epsilon: 1e-5 },
    inputs: (random: Random) => ({
      // Rows of very different magnitudes, one of them zero.
      x: random.normal(rows * width).map((x, i) => x * [1, 100, 0, 0.01][Math.floor(i / width) % 4]!),
      weight: random.normal(width),
    }),
  })),
);

interface LinearShape {
  readonly shape: readonly [rows: number, width: number, out: number];
  readonly flags: { readonly bias?: boolean; readonly residual?: boolean };
  readonly inPlace?: boolean;
}

const linearShapes: readonly LinearShape[] = [
  { shape: [1, 32, 1], flags: {} },
  { shape: [3, 32, 5], flags: { bias: true } },
  { shape: [1, 256, 67], flags: { residual: true }, inPlace: true },
  { shape: [1, 1024, 33], flags: {} },
  { shape: [2, 96, 130], flags: { bias: true, residual: true } },
  { shape: [17, 160, 33], flags: { bias: true, residual: true }, inPlace: true },
  { shape: [65, 64, 130], flags: {} },
  { shape: [130, 96, 48], flags: { residual: true } },
  { shape: [64, 576, 192], flags: {} },
  { shape: [7, 544, 37], flags: {} },
  // Wide enough that sums are split; more outputs than two tiles of 128.
  { shape: [12, 1184, 70], flags: { bias: true, residual: true }, inPlace: true },
  { shape: [30, 96, 260], flags: { bias: true } },
  { shape: [150, 608, 130], flags: { bias: true } },
  { shape: [144, 64, 72], flags: { bias: true, residual: true }, inPlace: true },
  { shape: [300, 96, 136], flags: { bias: true } },
  // Odd numbers of blocks, per row and in total.
  { shape: [1, 1056, 41], flags: { bias: true } },
  { shape: [3, 352, 129], flags: {} },
  { shape: [12, 1184, 69], flags: { residual: true } },
];
const plainShapes: readonly LinearShape[] = [
  { shape: [3, 20, 17], flags: { residual: true }, inPlace: true },
  { shape: [5, 66, 3], flags: { bias: true } },
];
const oddShapes: readonly LinearShape[] = [
  { shape: [1, 1, 1], flags: {} },
  { shape: [7, 33, 9], flags: { bias: true } },
];

const linear = casesOf(
  "linear",
  weightDTypes.flatMap((weight) =>
    [...linearShapes, ...(isQuantised(weight) ? [] : plainShapes), ...(weight === "f32" ? oddShapes : [])].map(
      ({ shape: [rows, width, out], flags, inPlace }): CaseOf<"linear"> => ({
        ...(inPlace ? { about: "in place", alias: { residual: "out" } } : {}),
        spec: { rows, width, out, weight, ...flags },
        inputs: (random) => {
          // Peaky between blocks, even within one, because activations may be rounded to 8 bits per block.
          const sizes = random.list(Math.ceil((rows * width) / 32), () => 4 ** random.uniform(1, 1.5)[0]!);
          return {
            x: random.uniform(rows * width).map((x, i) => x * sizes[Math.floor(i / 32)]!),
            weight: weights(random, weight, out, width),
            ...(flags.bias ? { bias: random.normal(out) } : {}),
            ...(flags.residual ? { [inPlace ? "out" : "residual"]: random.normal(rows * out) } : {}),
          };
        },
        magnitude: rootOfSquares({ rows, width, out, weight, ...flags }),
      }),
    ),
  ),
);

/** The root of the sum of squares of the terms that add up to one element. */
function rootOfSquares({ width, out, weight }: Spec<"linear">): NonNullable<CaseOf<"linear">["magnitude"]> {
  return (inputs, index) => {
    const [r, o] = [Math.floor(index / out), index % out];
    let squares = (inputs.bias?.[o] ?? 0) ** 2 + ((inputs.residual ?? inputs.out)?.[index] ?? 0) ** 2;
    const dense = isQuantised(weight) ? dequantised(inputs.weight as Uint8Array, weight, out, width) : inputs.weight!;
    for (let i = 0; i < width; i++) squares += (inputs.x![r * width + i]! * dense[o * width + i]!) ** 2;
    return Math.sqrt(squares);
  };
}

const gatedActivation = casesOf(
  "gatedActivation",
  (["silu", "gelu"] as const).flatMap((kind) =>
    (
      [
        [1, 1],
        [3, 20],
        [17, 65],
        [2, 1536],
      ] as const
    ).map(([rows, width]) => ({
      spec: { rows, width, kind },
      // Large enough that exp overflows.
      inputs: (random: Random) => ({ x: random.normal(2 * rows * width).map((x) => x * random.pick([1, 1, 4, 60])) }),
    })),
  ),
);

const ropeShapes: readonly Omit<Spec<"rope">, "tableRows">[] = [
  { sequences: 1, tokens: 1, queryHeads: 1, kvHeads: 1, headSize: 2, rotary: 2, keys: true },
  { sequences: 1, tokens: 17, queryHeads: 3, kvHeads: 1, headSize: 64, rotary: 64, keys: true },
  { sequences: 3, tokens: 1, queryHeads: 4, kvHeads: 2, headSize: 20, rotary: 20 },
  { sequences: 2, tokens: 3, queryHeads: 8, kvHeads: 2, headSize: 96, rotary: 32, keys: true },
  { sequences: 1, tokens: 65, queryHeads: 2, kvHeads: 2, headSize: 128, rotary: 128, keys: true },
  { sequences: 1, tokens: 5, queryHeads: 4, kvHeads: 1, headSize: 256, rotary: 256 },
];
const rope = casesOf(
  "rope",
  ropeShapes.map((shape) => ({
    spec: { ...shape, tableRows: 40 },
    inputs: (random: Random) => ({
      qkv: random.normal(shape.sequences * shape.tokens * (shape.queryHeads + 2 * shape.kvHeads) * shape.headSize),
      table: angles(random, 40, shape.rotary),
      // A base for each KV head, some before and some beyond the table.
      base: random.list(shape.sequences * shape.kvHeads, () => random.pick([0, 5, 17, 39, 45, -2])),
    }),
  })),
);

const logProbability = casesOf(
  "logProbability",
  (
    [
      [1, 1],
      [3, 7],
      [17, 300],
      [2, 5003],
    ] as const
  ).map(([rows, vocabulary]) => ({
    spec: { rows, vocabulary },
    inputs: (random: Random) => ({
      logits: random.normal(rows * vocabulary, 8).map((x) => x + 100),
      ids: random.list(rows, () => random.pick([-1, vocabulary, 0, vocabulary - 1, random.int(vocabulary)])),
    }),
  })),
);

export const model: readonly Case[] = [...embed, ...rmsNorm, ...linear, ...gatedActivation, ...rope, ...logProbability];
