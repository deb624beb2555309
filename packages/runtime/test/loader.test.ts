import { writeGguf } from "@ziggurat/bench-kit/fixtures";
import { type FileSource, memoryFiles } from "@ziggurat/runtime";
import { convert, readGguf } from "@ziggurat/runtime/formats";
import { Buffers, bytesOf, reference, weightLayout } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { llama } from "../src/families/llama.js";
import { ggufWeights } from "../src/gguf/gguf.js";
import { Loader } from "../src/weights/loader.js";
import { loadMatrix, planMatrix } from "../src/weights/matrix.js";
import { random } from "./random.js";

const [queries, keys, width, headSize] = [4096, 1280, 512, 128];
const rowBytes = (width / 32) * 34;
const names = ["q_proj", "k_proj", "v_proj"].map((name) => `model.layers.0.self_attn.${name}.weight`);
const rows = [queries, keys, keys];

/** Three tensors of Q8_0, the first of 2.2 MB, and a record of the reads. */
async function stored(failAt = Number.POSITIVE_INFINITY) {
  const next = random(7);
  const blocks = rows.map((count) => {
    const bytes = new Uint8Array(count * rowBytes).map(() => next() * 256);
    // Scales that are finite.
    for (let at = 1; at < bytes.length; at += 34) bytes[at] = 0x2c;
    return bytes;
  });
  const tensors = blocks.map((bytes, index) => ({
    name: `blk.0.attn_${"qkv"[index]}.weight`,
    shape: [rows[index]!, width],
    type: 8,
    bytes,
  }));
  const file = (await memoryFiles({ a: writeGguf({ "general.architecture": ["string", "llama"] }, tensors) }).open(
    "a",
  ))!;
  const seen = { reads: 0, most: 0, open: 0, together: 0, places: new Set<ArrayBuffer>() };
  const source: FileSource = {
    size: file.size,
    async read(offset, length, into) {
      if (++seen.reads > failAt) throw new Error("the disk is gone");
      seen.most = Math.max(seen.most, length);
      seen.together = Math.max(seen.together, ++seen.open);
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen.open--;
      const bytes = await file.read(offset, length);
      if (!into || into.length < length) return bytes;
      seen.places.add(into.buffer);
      into.set(bytes);
      return into.subarray(0, length);
    },
  };
  const weights = ggufWeights(await readGguf(source, "a.gguf"), llama.gguf!, headSize);
  Object.assign(seen, { reads: 0, most: 0, together: 0 });
  return { weights, seen, blocks };
}

/** Rows of each head in the order for rotation by halves. */
const byHalves = (bytes: Uint8Array) => {
  const turned = new Uint8Array(bytes.length);
  for (let row = 0; row < bytes.length / rowBytes; row++) {
    const [head, within] = [Math.floor(row / headSize), row % headSize];
    const to = head * headSize + Math.floor(within / 2) + (within % 2) * (headSize / 2);
    turned.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return turned;
};

describe("Loader", () => {
  it.each(["q8_0", "bf16"] as const)(
    "puts each part in its place in the whole, as %s, and holds two parts at a time",
    async (dtype) => {
      const { weights, seen, blocks } = await stored();
      const backend = reference();
      const buffers = new Buffers(backend);
      const progress: number[] = [];
      const loader = new Loader(backend, (bytes) => progress.push(bytes));
      const plan = planMatrix(weights, names, rows, width, dtype);
      const { slice, out } = loadMatrix(loader, weights, plan, buffers);
      await loader.run();

      const [q, k, v] = blocks as [Uint8Array, Uint8Array, Uint8Array];
      const whole = new Uint8Array(Buffer.concat([byHalves(q), byHalves(k), v]));
      const expected = convert(whole, "q8_0", dtype, [out, width]);
      const got = await backend.read(slice, bytesOf(dtype, [out, width]));
      const used =
        dtype === "q8_0" ? weightLayout(dtype, out, width).scales + 2 * ((out * width) / 32) : expected.length;
      expect(Buffer.compare(got.subarray(0, used), expected.subarray(0, used))).toBe(0);
      expect(progress.at(-1)).toBe(bytesOf(dtype, [out, width]));
      expect(progress).toEqual([...progress].sort((a, b) => a - b));

      expect(seen.reads).toBeGreaterThan(4);
      expect(seen.most).toBeLessThanOrEqual(2 ** 20);
      expect(seen.together).toBe(2);
      expect(seen.places.size).toBe(2);
    },
  );

  it("begins each part at an aligned place, for any width", async () => {
    // 881 such rows fit a part; a row has 35 scales of two bytes.
    const [count, wide] = [2001, 1120];
    const next = random(9);
    const bytes = new Uint8Array((count * wide * 34) / 32).map(() => next() * 256);
    const file = memoryFiles({
      a: writeGguf({ "general.architecture": ["string", "llama"] }, [
        { name: "output.weight", shape: [count, wide], type: 8, bytes },
      ]),
    });
    const weights = ggufWeights(await readGguf((await file.open("a"))!, "a.gguf"), llama.gguf!, headSize);
    const backend = reference();
    const loader = new Loader(backend, () => {});
    const { slice } = loadMatrix(
      loader,
      weights,
      planMatrix(weights, ["lm_head.weight"], [count], wide, undefined),
      new Buffers(backend),
    );
    await loader.run();
    const used = weightLayout("q8_0", count, wide).scales + (count * wide) / 16;
    const got = await backend.read(slice, bytesOf("q8_0", [count, wide]));
    expect(Buffer.compare(got.subarray(0, used), convert(bytes, "q8_0", "q8_0", [count, wide]).subarray(0, used))).toBe(
      0,
    );
  });

  it("stops at the first error, and rejects with it once no read is under way", async () => {
    const { weights, seen } = await stored(2);
    const backend = reference();
    const buffers = new Buffers(backend);
    const loader = new Loader(backend, () => {});
    loadMatrix(loader, weights, planMatrix(weights, names, rows, width, undefined), buffers);
    await expect(loader.run()).rejects.toThrow("the disk is gone");
    expect(seen.open).toBe(0);
    expect(seen.reads).toBeLessThanOrEqual(4);
    buffers.free();
    expect(backend.memory().live).toBe(0);
  });
});
