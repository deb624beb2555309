import { bytesOf, elementBytes, type RowDType, type Slice } from "@ziggurat/tensor";
import { expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { webgpu } from "../src/index.js";
import { chosenCases } from "./chosen.js";
import { adapterThere, gpu } from "./gpu.js";

/** Small numbers that differ along both axes. */
const matrix = (rows: number, width: number) =>
  Float32Array.from({ length: rows * width }, (_, i) => (((i * 37) % 101) - 50) / 64);

testWith(adapterThere, "weights larger than one binding are multiplied and looked up in parts", async () => {
  const [rows, width, out] = [3, 64, 100];
  const [whole, split] = await Promise.all([webgpu({ gpu }), webgpu({ gpu, maxBindingBytes: 2 ** 14 })]);
  expect(bytesOf("f32", [out, width])).toBeGreaterThan(2 ** 14);
  const results = [];
  for (const backend of [whole, split]) {
    const put = (data: Float32Array | Int32Array): Slice => {
      const slice = { buffer: backend.allocate(data.byteLength, "test"), offset: 0 };
      backend.write(slice, data);
      return slice;
    };
    const weight = put(matrix(out, width));
    const product = put(new Float32Array(rows * out));
    const linear = await backend.prepare("linear", { rows, width, out, weight: "f32", bias: true });
    backend.dispatch(linear, { x: put(matrix(rows, width)), weight, bias: put(matrix(1, out)), out: product });
    const found = put(new Float32Array(4 * width));
    const embed = await backend.prepare("embed", { tokens: 4, vocabulary: out, width, weight: "f32", scale: 2 });
    backend.dispatch(embed, { ids: put(Int32Array.of(99, -1, 31, 64)), table: weight, out: found });
    results.push([await backend.read(product, 4 * rows * out), await backend.read(found, 16 * width)]);
    await backend.dispose();
  }
  expect(results[1]).toEqual(results[0]);
});

testWith(adapterThere, "weights that cannot be split are refused, and the error names both sizes", async () => {
  const backend = await webgpu({ gpu, maxBindingBytes: 2 ** 14 });
  const linear = backend.prepare("linear", { rows: 1, width: 8192, out: 64, weight: "f32" });
  await expect(linear).rejects.toThrow(
    /linear: 32 rows of 8192 f32 weights take 1048576 bytes, and this device binds at most 16384/,
  );
  await backend.dispose();
});

testWith(adapterThere, "a dispatch that would take too long is split, and every part of it runs", async () => {
  const backend = await webgpu({ gpu });
  const [rows, width, out] = [640, 256, 512];
  const put = (data: Float32Array): Slice => {
    const slice = { buffer: backend.allocate(data.byteLength, "test"), offset: 0 };
    backend.write(slice, data);
    return slice;
  };
  const [x, weight] = [matrix(rows, width), matrix(out, width)];
  const product = put(new Float32Array(rows * out).fill(Number.NaN));
  // 2 x 640 x 256 x 512 operations are more than a software device is given at first: see pace.ts.
  const linear = await backend.prepare("linear", { rows, width, out, weight: "f32" });
  backend.dispatch(linear, { x: put(x), weight: put(weight), out: product });
  const got = new Float32Array((await backend.read(product, 4 * rows * out)).buffer);
  for (let r = 0; r < rows; r += 13) {
    for (let o = 0; o < out; o += 17) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += x[r * width + i]! * weight[o * width + i]!;
      expect(Math.abs(got[r * out + o]! - sum)).toBeLessThan(1e-3);
    }
  }
  expect(got.every(Number.isFinite)).toBe(true);
  await backend.dispose();
});

// Cases of every op that has arenas. K is larger than a binding here, and the operands need no more bindings than a
// device has.
const arenas = [
  "append sequences=1 tokens=17 queryHeads=2 kvHeads=2 headSize=96 arenaRows=48 kv=f32",
  "attention (past 0 1 64) tokens=65 queryHeads=3 kvHeads=3 headSize=20 arenaRows=263 kv=f32",
  "decodeAttention (past 70 3) sequences=1 queryHeads=2 kvHeads=2 headSize=256 arenaRows=77 capacity=71 kv=f16",
  "decodeAttention (past 5 130) sequences=1 queryHeads=4 kvHeads=2 headSize=64 arenaRows=139 capacity=131 kv=bf16",
  "watch (past 20 33) sequences=1 tokens=3 queryHeads=4 kvHeads=2 headSize=256 arenaRows=61 capacity=36 kv=bf16",
  "gather (33 0 of 70 65) heads=2 most=35 headSize=64 arenaRows=138 targetRows=37 planes=2 kv=f16",
  "evict (65 7 of 130 3) sequences=2 kvHeads=1 capacity=130 most=66 headSize=96 arenaRows=135 planes=3 kv=f16 ordered ranks",
];

const limit = 2 ** 14;

chosenCases(
  "arenas larger than one binding are bound in windows",
  arenas,
  () => webgpu({ gpu, maxBindingBytes: limit }),
  (_, { spec }) => {
    const { arenaRows, headSize, kv } = spec as unknown as { arenaRows: number; headSize: number; kv: RowDType };
    expect(arenaRows * headSize * elementBytes[kv]).toBeGreaterThan(limit);
  },
);

testWith(
  adapterThere,
  "a dispatch with more windows than a device binds is refused, and the error names their operands",
  async () => {
    const backend = await webgpu({ gpu, maxBindingBytes: 2 ** 14 });
    const put = (bytes: number): Slice => ({ buffer: backend.allocate(bytes, "test"), offset: 0 });
    const numbers = 2 ** 20;
    const copy = await backend.prepare("copy", { words: numbers });
    expect(() => backend.dispatch(copy, { x: put(4 * numbers), out: put(4 * numbers) })).toThrow(
      /its operands lie in 512 places \(of 16384 bytes at most: x in 256; out in 256\), and this device binds \d+/,
    );
    await backend.dispose();
  },
);
