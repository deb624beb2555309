import { type OpName, opNames, type Spec } from "@ziggurat/tensor";
import { describe, expect, test } from "vitest";
import { usualGroups } from "../src/binding.js";
import { WebGpuKernel } from "../src/kernel.js";
import { kernels } from "../src/kernels/index.js";
import { textOf } from "../src/pipelines.js";
import type { Traits } from "../src/stage.js";

// Shaders as text, in test/snapshots. A snapshot detects change, so that reviews see it; it proves nothing. The proof
// is conformance.test.ts, which runs every op against the float64 reference.

const gpu: Traits = {
  subgroup: 32,
  half: true,
  matrix: true,
  dots: true,
  workgroupBytes: 49152,
  bindingBytes: 2 ** 31 - 4,
  software: false,
};
const plain: Traits = {
  subgroup: 0,
  half: false,
  matrix: false,
  dots: false,
  workgroupBytes: 16384,
  bindingBytes: 2 ** 27,
  software: false,
};

interface Configuration<N extends OpName> {
  readonly op: N;
  readonly spec: Spec<N>;
  readonly traits?: Traits;
}
const configuration = <N extends OpName>(op: N, spec: Spec<N>, traits: Traits = gpu) =>
  ({ op, spec, traits }) as unknown as Configuration<OpName>;

const heads = { queryHeads: 32, kvHeads: 8, headSize: 64 };
const arena = { arenaRows: 65536, kv: "f16", scale: 0.125, softcap: 0 } as const;
const configurations: Readonly<Record<string, Configuration<OpName>>> = {
  "linear-one-row-q4_0": configuration("linear", { rows: 1, width: 2048, out: 8192, weight: "q4_0" }),
  "linear-one-row-f16-residual": configuration("linear", {
    rows: 1,
    width: 8192,
    out: 2048,
    weight: "f16",
    residual: true,
  }),
  "linear-four-rows-q8_0-no-subgroups": configuration(
    "linear",
    { rows: 4, width: 2048, out: 2048, weight: "q8_0", bias: true },
    plain,
  ),
  "linear-one-row-bf16": configuration("linear", { rows: 1, width: 2048, out: 8192, weight: "bf16" }),
  "linear-six-rows-f16": configuration("linear", { rows: 6, width: 2048, out: 8192, weight: "f16" }),
  "linear-tile-f16": configuration("linear", { rows: 512, width: 2048, out: 8192, weight: "f16" }, plain),
  "linear-matrix-bf16": configuration("linear", { rows: 512, width: 2048, out: 8192, weight: "bf16", residual: true }),
  "decode-attention-bf16-no-subgroups": configuration(
    "decodeAttention",
    { sequences: 1, ...heads, ...arena, kv: "bf16", capacity: 8192 },
    plain,
  ),
  "linear-tile-q4_1": configuration("linear", { rows: 512, width: 2048, out: 8192, weight: "q4_1" }),
  "attention-matrix-f16": configuration("attention", { tokens: 512, ...heads, ...arena }),
  "attention-matrix-bf16-128": configuration("attention", {
    tokens: 512,
    ...heads,
    headSize: 128,
    ...arena,
    kv: "bf16",
  }),
  "watch-matrix-f16": configuration("watch", {
    sequences: 1,
    tokens: 512,
    ...heads,
    ...arena,
    capacity: 8192,
    from: 480,
  }),
  "watch-matrix-bf16-128": configuration("watch", {
    sequences: 1,
    tokens: 512,
    ...heads,
    headSize: 128,
    ...arena,
    kv: "bf16",
    capacity: 8192,
  }),
  "attention-f16": configuration("attention", { tokens: 512, ...heads, ...arena }, plain),
  "decode-attention-f16": configuration("decodeAttention", { sequences: 1, ...heads, ...arena, capacity: 8192 }),
  "decode-attention-f32-slot": configuration("decodeAttention", {
    ...{ sequences: 1, queryHeads: 9, kvHeads: 3, headSize: 64, ...arena, kv: "f32", capacity: 60 },
    ...{ slot: true, planes: 2, rotary: 64, tableRows: 1000 },
  }),
  "watch-window": configuration(
    "watch",
    { sequences: 1, tokens: 512, ...heads, ...arena, capacity: 8192, from: 480 },
    plain,
  ),
  "append-bf16": configuration("append", {
    ...{ sequences: 1, tokens: 1, ...heads, arenaRows: 65536, planes: 2, kv: "bf16" },
    ...{ keys: true, values: true, cells: true, ranks: true },
  }),
  "evict-ordered": configuration("evict", {
    ...{ sequences: 1, kvHeads: 8, capacity: 8192, most: 8192, headSize: 64, arenaRows: 65536, planes: 2, kv: "f16" },
    ...{ ordered: true, ranks: true },
  }),
  topk: configuration("topk", { heads: 8, capacity: 8192, most: 1024, arenaRows: 65536 }),
  sample: configuration("sample", { sequences: 1, vocabulary: 128256, ring: 16, stopCount: 2, history: true }),
};

describe("no change in the WGSL of", () => {
  test.each(Object.entries(configurations))("%s", async (name, { op, spec, traits = gpu }) => {
    const stages = new WebGpuKernel(op, spec, traits).stages();
    const text = stages.map((stage) => textOf(stage, usualGroups(stage))).join("\n// ---- the next dispatch\n\n");
    await expect(text).toMatchFileSnapshot(`snapshots/${name}.wgsl`);
  });
});

test("every op has a kernel of its name, whose text opens with it", () => {
  expect(Object.keys(kernels).sort()).toEqual([...opNames].sort());
  for (const { op, spec, traits = gpu } of Object.values(configurations)) {
    expect(new WebGpuKernel(op, spec, traits).stages()[0]!.text.startsWith(`// ${op}: `)).toBe(true);
  }
});

test("a shader's text does not depend on sizes", () => {
  const text = (rows: number, out: number) => {
    const [stage] = new WebGpuKernel("linear", { rows, width: 64 * out, out, weight: "f16" }, gpu).stages();
    return textOf(stage!, usualGroups(stage!));
  };
  expect(text(100, 64)).toBe(text(64, 256));
});

test("16-bit rows that would share words are refused", () => {
  const spec = { tokens: 4, queryHeads: 1, kvHeads: 1, headSize: 7, ...arena };
  expect(() => new WebGpuKernel("attention", spec, gpu)).toThrow(/rows of 7 f16 numbers would share 4-byte words/);
});
