// Written by `npm run api`. Do not edit.

// @ziggurat/bench-kit

export interface LlamaShape {
  readonly name: string;
  readonly layers: number;
  readonly hidden: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly ffn: number;
  readonly vocabulary: number;
  readonly context: number;
}

export const layerWeights: ({ layers, hidden, queryHeads, kvHeads, headSize, ffn }: LlamaShape) => number;

export const llama1b: LlamaShape;

export const llama8b: LlamaShape;

export const machine: () => string;

export const median: (values: readonly number[]) => number;

export const megabytes: (bytes: number) => string;

export const pebble: LlamaShape;

export const prefillOperations: (shape: LlamaShape, tokens: number) => number;

export function randomIds(count: number, vocabulary: number, seed: number): number[];

export function randomLlama({
  name,
  layers,
  hidden,
  queryHeads,
  kvHeads,
  headSize,
  ffn,
  vocabulary,
  context,
}: LlamaShape): ModelFiles;

export const rowBytes: ({ layers, kvHeads, headSize }: LlamaShape) => number;

export const smollm2: LlamaShape;

export function table(rows: readonly (readonly string[])[]): string;

export const weightBytes: (shape: LlamaShape) => number;
