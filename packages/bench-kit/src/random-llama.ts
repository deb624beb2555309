import type { ModelFiles } from "@ziggurat/runtime";

/** A Llama's sizes. */
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

export const pebble: LlamaShape = {
  ...{
    name: "Pebble",
    layers: 16,
    hidden: 256,
    queryHeads: 4,
    kvHeads: 2,
    headSize: 64,
    ffn: 768,
    vocabulary: 4096,
    context: 16384,
  },
};
export const smollm2: LlamaShape = {
  ...{
    name: "SmolLM2-135M",
    layers: 30,
    hidden: 576,
    queryHeads: 9,
    kvHeads: 3,
    headSize: 64,
    ffn: 1536,
    vocabulary: 49152,
    context: 32768,
  },
};
export const llama1b: LlamaShape = {
  ...{
    name: "Llama-3.2-1B",
    layers: 16,
    hidden: 2048,
    queryHeads: 32,
    kvHeads: 8,
    headSize: 64,
    ffn: 8192,
    vocabulary: 128256,
    context: 65536,
  },
};
export const llama8b: LlamaShape = {
  ...{
    name: "Llama-3-8B",
    layers: 32,
    hidden: 4096,
    queryHeads: 32,
    kvHeads: 8,
    headSize: 128,
    ffn: 14336,
    vocabulary: 128256,
    context: 65536,
  },
};

/** Numbers in all matrices of the layers. */
export const layerWeights = ({ layers, hidden, queryHeads, kvHeads, headSize, ffn }: LlamaShape) =>
  layers * (hidden * (2 * queryHeads + 2 * kvHeads) * headSize + 3 * hidden * ffn);
/** Bytes that one step of decoding reads of weights of 16 bits. */
export const weightBytes = (shape: LlamaShape) => 2 * (layerWeights(shape) + shape.vocabulary * shape.hidden);
/** Bytes of one row of K and V in all layers, of 16 bits. */
export const rowBytes = ({ layers, kvHeads, headSize }: LlamaShape) => layers * kvHeads * headSize * 2 * 2;
/** Operations of reading `tokens`, all layers; of the causal half of attention. */
export const prefillOperations = (shape: LlamaShape, tokens: number) =>
  2 * layerWeights(shape) * tokens + 2 * shape.layers * shape.queryHeads * shape.headSize * tokens ** 2;

/**
 * A checkpoint of random bf16 weights of about +-0.02 that is made while it is read, from one stretch of noise: for
 * speed and memory only.
 */
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
}: LlamaShape): ModelFiles {
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
    ...{
      max_position_embeddings: context,
      rms_norm_eps: 1e-5,
      rope_theta: 500000,
      hidden_act: "silu",
      tie_word_embeddings: true,
    },
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
    name: `${name} shape, random weights`,
    async open(name) {
      if (name === "config.json")
        return { size: text.length, read: async (offset, length) => text.slice(offset, offset + length) };
      return name === "model.safetensors" ? { size: start.length + end, read } : undefined;
    },
  };
}
