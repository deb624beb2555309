import { readFileSync } from "node:fs";
import { type GgufTensor, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { loadModel, memoryFiles } from "@ziggurat/runtime";
import { logProbabilities } from "@ziggurat/runtime/evaluate";
import { convert, openWeights, type StoredDType } from "@ziggurat/runtime/formats";
import type { Backend } from "@ziggurat/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KQuant, quantise } from "./support/k-quants.js";

// Pebble, whose widths are multiples of 256, with its matrices in K-quants as llama.cpp's mixtures have them, against
// the same numbers as float32.

const types = { q4_K: 12, q5_K: 13, q6_K: 14 } as const;
const document = readFileSync(new URL("fixtures/document.txt", import.meta.url), "utf8").slice(0, 1500);
let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});
afterAll(() => backend.dispose());

const names: readonly (readonly [RegExp, string])[] = [
  [/^model\.embed_tokens$/, "token_embd"],
  [/^model\.norm$/, "output_norm"],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj$/, "blk.$1.attn_$2"],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj$/, "blk.$1.attn_output"],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj$/, "blk.$1.ffn_$2"],
  [/^model\.layers\.(\d+)\.input_layernorm$/, "blk.$1.attn_norm"],
  [/^model\.layers\.(\d+)\.post_attention_layernorm$/, "blk.$1.ffn_norm"],
];
const ggufName = (name: string) => {
  const stem = name.replace(/\.weight$/, "");
  const [pattern, to] = names.find(([known]) => known.test(stem))!;
  return `${stem.replace(pattern, to)}.weight`;
};

/** Rows of queries and keys from halves to pairs, as the converter puts them for Llama; and back. */
function pairs(values: Float32Array, width: number, back: boolean, headSize = 64): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row * width < values.length; row++) {
    const within = row % headSize;
    const to = row - within + (within < headSize / 2 ? 2 * within : 2 * within - headSize + 1);
    const [a, b] = back ? [row, to] : [to, row];
    out.set(values.subarray(b * width, (b + 1) * width), a * width);
  }
  return out;
}
const floats = (bytes: Uint8Array) =>
  new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);

/**
 * Pebble twice: as a GGUF file with matrices of the type that `choose` gives, and as safetensors of exactly those
 * numbers in float32.
 */
async function twins(choose: (name: string) => KQuant) {
  const source = await openWeights(pebble());
  const tensors: GgufTensor[] = [];
  const plain: [name: string, shape: readonly number[], values: Float32Array][] = [];
  for (const name of source.names) {
    const { dtype, shape, read } = source.tensor(name);
    const values = floats(convert(await read(), dtype, "f32", shape, name));
    const to = ggufName(name);
    if (shape.length === 1) {
      tensors.push({ name: to, shape, type: 0, bytes: new Uint8Array(values.buffer) });
      plain.push([name, shape, values]);
      continue;
    }
    const turned = /[qk]_proj/.test(name);
    const kind = choose(name);
    const blocks = quantise(turned ? pairs(values, shape[1]!, false) : values, kind);
    tensors.push({ name: to, shape, type: types[kind], bytes: blocks });
    const again = floats(convert(blocks, kind as StoredDType, "f32", shape, name));
    plain.push([name, shape, turned ? pairs(again, shape[1]!, true) : again]);
  }
  const config = JSON.parse(await text("config.json")) as Record<string, number>;
  const metadata = {
    "general.architecture": ["string", "llama"],
    "llama.block_count": ["u32", config.num_hidden_layers!],
    "llama.context_length": ["u32", config.max_position_embeddings!],
    "llama.embedding_length": ["u32", config.hidden_size!],
    "llama.feed_forward_length": ["u32", config.intermediate_size!],
    "llama.attention.head_count": ["u32", config.num_attention_heads!],
    "llama.attention.head_count_kv": ["u32", config.num_key_value_heads!],
    "llama.attention.layer_norm_rms_epsilon": ["f32", config.rms_norm_eps!],
    "llama.rope.freq_base": ["f32", config.rope_theta!],
  } as const;
  const gguf = writeGguf(metadata, tensors);
  return {
    gguf,
    plain: memoryFiles({ "config.json": await text("config.json"), "model.safetensors": safetensors(plain) }, "plain"),
  };
}

async function text(name: string): Promise<string> {
  const file = (await pebble().open(name))!;
  return new TextDecoder().decode(await file.read(0, file.size));
}

function safetensors(tensors: readonly (readonly [string, readonly number[], Float32Array])[]): Uint8Array {
  let end = 0;
  const header = Object.fromEntries(
    tensors.map(([name, shape, { byteLength }]) => [
      name,
      { dtype: "F32", shape, data_offsets: [end, (end += byteLength)] },
    ]),
  );
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  let at = 8 + json.length;
  for (const [, , values] of tensors) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return bytes;
}

describe("K-quants", () => {
  const mixture = (name: string): KQuant => (/v_proj|down_proj|embed/.test(name) ? "q6_K" : "q4_K");
  it.each<[string, (name: string) => KQuant, number]>([
    ["q4_K and q6_K, as in Q4_K_M", mixture, 0.01],
    ["q5_K", () => "q5_K", 0.01],
  ])(
    "%s: with weights as float32 the same model to 1e-4, in blocks nearly",
    async (_, choose, bound) => {
      const { gguf, plain } = await twins(choose);
      const ids = await (async () => {
        const model = await loadModel(pebble(), { backend });
        const encoded = model.tokenizer!.encode(document);
        model.free();
        return encoded;
      })();
      const scores = async (files: typeof plain, weights?: "f32") => {
        const model = await loadModel(files, { backend, rows: "f32", ...(weights ? { weights } : {}) });
        const found = await logProbabilities(model, ids);
        model.free();
        return found;
      };
      const files = memoryFiles({ "model.gguf": gguf });
      const wanted = await scores(plain);
      const exact = await scores(files, "f32");
      wanted.forEach((score, i) => void expect(Math.abs(exact[i]! - score), `token ${i + 1}`).toBeLessThan(1e-4));
      const mean = (list: Float32Array) => list.reduce((sum, one) => sum + one, 0) / list.length;
      const held = await scores(files);
      // In blocks of other scales the numbers differ a little, and so do the scores.
      expect(held.some((score, i) => score !== exact[i])).toBe(true);
      expect(Math.abs(mean(held) - mean(exact)), `mean log-probability ${mean(held)}, not ${mean(exact)}`).toBeLessThan(
        bound,
      );
      expect(backend.memory().live).toBe(0);
    },
    120_000,
  );
});
