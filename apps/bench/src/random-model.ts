import type { ModelFiles } from "@ziggurat/runtime";

/** A Llama shape. */
export interface Shape {
  readonly name: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
}

/** SmolLM2-135M. */
export const smol: Shape = {
  name: "SmolLM2-135M shape, random weights",
  layers: 30,
  hiddenSize: 576,
  queryHeads: 9,
  kvHeads: 3,
  headSize: 64,
  intermediateSize: 1536,
  vocabularySize: 49152,
  contextLength: 32768,
};

/** Pebble. */
export const pebbleShape: Shape = {
  name: "Pebble shape, random weights",
  layers: 16,
  hiddenSize: 256,
  queryHeads: 4,
  kvHeads: 2,
  headSize: 64,
  intermediateSize: 768,
  vocabularySize: 4096,
  contextLength: 16384,
};

/** A checkpoint of random bf16 weights, made while it is read: for speed and memory only. */
export function randomModel(shape: Shape): ModelFiles {
  const { hiddenSize: hidden, queryHeads, kvHeads, headSize, intermediateSize: ffn, vocabularySize, layers } = shape;
  const tensors: [string, number[]][] = [["model.embed_tokens.weight", [vocabularySize, hidden]]];
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
  const config = {
    architectures: ["LlamaForCausalLM"],
    hidden_size: hidden,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: queryHeads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    vocab_size: vocabularySize,
    max_position_embeddings: shape.contextLength,
    rms_norm_eps: 1e-5,
    rope_theta: 100000,
    hidden_act: "silu",
    tie_word_embeddings: true,
  };
  const text = new TextEncoder().encode(JSON.stringify(config));
  return {
    name: shape.name,
    async open(file) {
      if (file === "config.json") return { size: text.length, read: async (offset, length) => text.slice(offset, offset + length) };
      if (file !== "model.safetensors") return undefined;
      return { size: start.length + end, read: async (offset, length) => weights(start, offset, length) };
    },
  };
}

/** Bytes of the file: its header, then bf16 numbers of about +-0.03. */
function weights(start: Uint8Array, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const head = Math.max(0, Math.min(length, start.length - offset));
  bytes.set(start.subarray(offset, offset + head));
  let state = (offset ^ 0x9e3779b9) >>> 0;
  for (let at = head; at + 1 < length; at += 2) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const bits = ((state >>> 31) << 15) | 0x3c00 | ((state >>> 16) & 0x0ff);
    bytes[at] = bits & 255;
    bytes[at + 1] = bits >>> 8;
  }
  return bytes;
}
