import { writeFileSync } from "node:fs";
import { cuda } from "@ziggurat/cuda";
import { full, type Policy } from "@ziggurat/policy";
import { generate, generateBatch, loadModel, type ModelFiles } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";

// A Llama-3-8B of random weights: node model.mjs [file for the results]. Speeds beside the roofline of 4.3 TB/s and 790 TFLOP/s.
const [file] = process.argv.slice(2);
const bandwidth = 4.3e12;
const arithmetic = 790e12;
const shape = { layers: 32, hidden: 4096, queryHeads: 32, kvHeads: 8, headSize: 128, ffn: 14336, vocabulary: 128256, context: 40960 };
const { layers, hidden, queryHeads, kvHeads, headSize, ffn, vocabulary } = shape;
const rowBytes = layers * kvHeads * headSize * 2 * 2;
const layerWeights = layers * (hidden * (2 * queryHeads + 2 * kvHeads) * headSize + 3 * hidden * ffn);
const weightBytes = 2 * (layerWeights + vocabulary * hidden);

/** A checkpoint of random bf16 weights of about +-0.02 that is made while it is read, from one stretch of noise. */
function randomModel(): ModelFiles {
  const tensors: [string, number[]][] = [["model.embed_tokens.weight", [vocabulary, hidden]]];
  for (let layer = 0; layer < layers; layer++) {
    const at = (name: string, ...dims: number[]) => tensors.push([`model.layers.${layer}.${name}.weight`, dims]);
    at("input_layernorm", hidden);
    at("self_attn.q_proj", queryHeads * headSize, hidden);
    at("self_attn.k_proj", kvHeads * headSize, hidden);
    at("self_attn.v_proj", kvHeads * headSize, hidden);
    at("self_attn.o_proj", hidden, queryHeads * headSize);
    at("post_attention_layernorm", hidden);
    at("mlp.gate_proj", ffn, hidden);
    at("mlp.up_proj", ffn, hidden);
    at("mlp.down_proj", hidden, ffn);
  }
  tensors.push(["model.norm.weight", [hidden]]);
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, dims] of tensors) {
    const bytes = 2 * dims.reduce((a, b) => a * b, 1);
    header[name] = { dtype: "BF16", shape: dims, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(8 + json.length);
  new DataView(start.buffer).setBigUint64(0, BigInt(json.length), true);
  start.set(json, 8);
  // No power of two: rows of a matrix differ.
  const noise = new Uint16Array(4_000_037);
  let state = 1;
  for (let i = 0; i < noise.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    noise[i] = ((state >>> 31) << 15) | 0x3c00 | ((state >>> 16) & 0xff);
  }
  const pattern = new Uint8Array(noise.buffer);
  const config = {
    ...{ architectures: ["LlamaForCausalLM"], hidden_size: hidden, intermediate_size: ffn, num_hidden_layers: layers },
    ...{ num_attention_heads: queryHeads, num_key_value_heads: kvHeads, head_dim: headSize, vocab_size: vocabulary },
    ...{ max_position_embeddings: shape.context, rms_norm_eps: 1e-5, rope_theta: 500000, hidden_act: "silu", tie_word_embeddings: true },
  };
  const text = new TextEncoder().encode(JSON.stringify(config));
  const read = async (offset: number, length: number) => {
    const bytes = new Uint8Array(length);
    const head = Math.max(0, Math.min(length, start.length - offset));
    bytes.set(start.subarray(offset, offset + head));
    for (let at = head; at < length; ) {
      const from = (offset + at - start.length) % pattern.length;
      const part = pattern.subarray(from, Math.min(pattern.length, from + length - at));
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  };
  return {
    name: "Llama-3-8B shape, random weights",
    async open(name) {
      if (name === "config.json") return { size: text.length, read: async (offset, length) => text.slice(offset, offset + length) };
      return name === "model.safetensors" ? { size: start.length + end, read } : undefined;
    },
  };
}

const results: Record<string, unknown>[] = [];
const report = (what: string, figures: Readonly<Record<string, number>>) => {
  results.push({ what, ...figures });
  const shown = Object.entries(figures).map(([unit, value]) => `${value.toPrecision(4)} ${unit}`);
  console.log(what.padEnd(52), shown.join("  "));
};
/** Tokens from a fixed sequence. */
const ids = (count: number, seed: number) => {
  let state = seed;
  return Int32Array.from({ length: count }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % vocabulary);
};
const every = 32;
/** The first token comes alone. */
const [warm, steps] = [1 + every, 1 + 5 * every];
/** Seconds of one step past the first `warm`: those prepare and record. Ids of a step of all sequences come together. */
async function secondsPerStep(pieces: AsyncIterable<{ readonly ids: readonly number[] }>, sequences: number): Promise<number> {
  let seen = 0;
  let begun: number | undefined;
  for await (const { ids } of pieces) {
    seen += ids.length;
    if (seen >= warm * sequences) begun ??= performance.now();
  }
  if (seen !== steps * sequences) throw new Error(`${seen} tokens came, not ${steps * sequences}`);
  return (performance.now() - begun!) / 1000 / (steps - warm);
}

const binaries = { addon: new URL("ziggurat.node", import.meta.url), kernels: new URL("kernels.bin", import.meta.url) };
const backend = await cuda({ binaries });
console.log(backend.info.device, JSON.stringify(backend.info.features));
const began = performance.now();
const model = await loadModel(randomModel(), { backend });
await backend.synchronise();
console.log(`${(model.weightBytes / 1e9).toFixed(2)} GB of weights in ${((performance.now() - began) / 1000).toFixed(1)} s`);

/** One sequence: prefill and decode. */
async function one(tokens: number, policy: Policy, rows: number): Promise<void> {
  const request = { model, policy, prompt: ids(tokens, 7), maxTokens: steps, ignoreEnd: true, temperature: 0, readEvery: every };
  const generation = generate(request);
  const seconds = await secondsPerStep(generation, 1);
  const { timings, cache } = await generation.result;
  const flops = 2 * layerWeights * tokens + 2 * layers * queryHeads * headSize * tokens ** 2;
  report(`prefill of ${tokens}, ${policy.name}`, {
    s: timings.prefillSeconds,
    "tokens/s": tokens / timings.prefillSeconds,
    "TFLOP/s": flops / timings.prefillSeconds / 1e12,
    "of the roofline": flops / timings.prefillSeconds / arithmetic,
  });
  report(`decode after ${tokens}, ${policy.name}, ${cache.rows[0]![0]} rows`, {
    ms: 1000 * seconds,
    "tokens/s": 1 / seconds,
    "of the roofline": (weightBytes + (rows + steps / 2) * rowBytes) / bandwidth / seconds,
  });
}

/** Many sequences of `rows` rows each. */
async function many(sequences: number, rows: number): Promise<void> {
  const requests = Array.from({ length: sequences }, (_, i) => ({
    ...{ policy: full(), prompt: ids(rows, i + 1), maxTokens: steps, ignoreEnd: true, temperature: 0 },
  }));
  const seconds = await secondsPerStep(generateBatch({ model, requests, readEvery: every }), sequences);
  report(`decode of ${sequences} sequences, ${rows} rows`, {
    ms: 1000 * seconds,
    "tokens/s": sequences / seconds,
    "of the roofline": (weightBytes + sequences * (rows + steps / 2) * rowBytes) / bandwidth / seconds,
  });
}

// The kernels load.
await one(2048, full(), 2048);
await one(32768, snapkv({ keep: 3932 }), 3932);
await one(32768, full(), 32768);
await many(64, 3852);
console.log(`${(backend.memory().reserved / 2 ** 30).toFixed(1)} GiB reserved`);
model.free();
await backend.dispose();
if (file) writeFileSync(file, JSON.stringify({ device: backend.info, results }, undefined, 1));
