import { type GgufTensor, tinyLlama, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { cpu } from "@ziggurat/cpu";
import { loadModel, memoryFiles, openModel } from "@ziggurat/runtime";
import type { Backend } from "@ziggurat/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// How long the caller's thread is kept from its events. Files are in memory, so that no read gives the events a turn by
// itself. Time is that of this process on its cores: other processes on the machine do not count.

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Runs `work`; resolves to the most milliseconds between two turns of the event loop, and to all milliseconds. */
async function stalls(work: () => Promise<unknown>): Promise<{ longest: number; all: number }> {
  const start = cpuMs();
  let last = start;
  let longest = 0;
  const turn = () => {
    const now = cpuMs();
    longest = Math.max(longest, now - last);
    last = now;
    timer = setImmediate(turn);
  };
  let timer = setImmediate(turn);
  await work();
  clearImmediate(timer);
  const end = cpuMs();

  return { longest: Math.max(longest, end - last), all: end - start };
}

/** Zeros in GGUF's Q6_K: 210 bytes for 256 numbers. */
const tensor = (name: string, ...shape: number[]): GgufTensor => {
  const count = shape.reduce((a, b) => a * b, 1);
  return shape.length === 1
    ? { name, shape, type: 0, bytes: new Uint8Array(4 * count) }
    : { name, shape, type: 14, bytes: new Uint8Array((count / 256) * 210) };
};
const width = 1024;
const vocabulary = 24_576;
function model(): Uint8Array<ArrayBuffer> {
  const metadata = {
    ...tinyLlama,
    "llama.embedding_length": ["u32", width],
    "llama.feed_forward_length": ["u32", 2 * width],
    "llama.attention.head_count": ["u32", 8],
  } as const;
  const layer = (name: string, ...shape: number[]) => tensor(`blk.0.${name}.weight`, ...shape);
  return writeGguf(metadata, [
    tensor("token_embd.weight", vocabulary, width),
    tensor("output_norm.weight", width),
    ...["attn_norm", "ffn_norm"].map((name) => layer(name, width)),
    ...["attn_q", "attn_k", "attn_v", "attn_output"].map((name) => layer(name, width, width)),
    ...["ffn_gate", "ffn_up"].map((name) => layer(name, 2 * width, width)),
    layer("ffn_down", width, 2 * width),
  ]);
}

let backend: Backend;
beforeAll(async () => {
  backend = await cpu({ threads: 1 });
});
afterAll(() => backend.dispose());

/** The aim is 50 ms. A slow machine and its garbage collector may take some times that. */
const bound = 250;

describe("the longest time without a turn of the event loop", () => {
  it.each(["q8_0", "f32", "q4_0"] as const)("while weights are converted to %s", async (weights) => {
    const files = memoryFiles({ "m.gguf": model() });
    const { longest, all } = await stalls(async () => (await loadModel(files, { backend, weights })).free());
    // Otherwise the bound says nothing.
    expect(all).toBeGreaterThan(bound);
    expect(longest).toBeLessThan(bound);
    // All in one turn: 1. In turns of some 20 ms: below 0.2.
    expect(longest / all).toBeLessThan(0.5);
  });

  it("while a header of two million strings is read", async () => {
    // The list comes first, as the first of the metadata.
    const rest = model();
    const text = new TextEncoder().encode("tokens");
    const count = 2_000_000;
    const list = new Uint8Array(8 + text.length + 16 + 20 * count);
    const view = new DataView(list.buffer);
    view.setBigUint64(0, BigInt(text.length), true);
    list.set(text, 8);
    view.setUint32(14, 9, true);
    view.setUint32(18, 8, true);
    view.setBigUint64(22, BigInt(count), true);
    for (let at = 30; at < list.length; at += 20) {
      view.setUint32(at, 12, true);
      list.fill(0x61 + (at % 26), at + 8, at + 20);
    }
    // A whole number of 32 bytes, so that the tensors stay aligned.
    expect(list.length % 32).toBe(30);
    const pad = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 0x62, 8, 0, 0, 0, ...new Array(21).fill(0)]);
    new DataView(pad.buffer).setUint32(13, 13, true);
    const bytes = new Uint8Array(rest.length + list.length + pad.length);
    bytes.set(rest.subarray(0, 24));
    new DataView(bytes.buffer).setUint32(16, new DataView(rest.buffer).getUint32(16, true) + 2, true);
    bytes.set(list, 24);
    bytes.set(pad, 24 + list.length);
    bytes.set(rest.subarray(24), 24 + list.length + pad.length);
    const files = memoryFiles({ "m.gguf": bytes });
    const { longest, all } = await stalls(() => openModel(files));
    expect(all).toBeGreaterThan(2 * bound);
    expect(longest).toBeLessThan(bound);
    expect(longest / all).toBeLessThan(0.5);
  });
});

it("a signal that a timer aborts ends the loading of files in memory", async () => {
  const controller = new AbortController();
  const files = memoryFiles({ "m.gguf": model() });
  const live = backend.memory().live;
  let done = 0;
  const loaded = loadModel(files, {
    backend,
    weights: "q8_0",
    signal: controller.signal,
    onProgress: (bytes, total) => {
      if (done === 0) setTimeout(() => controller.abort(new Error("enough")), 0);
      done = bytes / total;
    },
  });
  await expect(loaded).rejects.toThrow("enough");
  expect(done).toBeLessThan(0.5);
  expect(backend.memory().live).toBe(live);
});
