import { type ModelFiles, memoryFiles } from "@ziggurat/runtime";
import { random } from "../random.js";

/** A Llama shape that a test can compute by hand. */
export interface TinyShape {
  readonly layers: number;
  readonly hidden: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly context: number;
  readonly theta: number;
  readonly tied: boolean;
  readonly biases: boolean;
}

export const tiny: TinyShape = {
  ...{ layers: 3, hidden: 32, queryHeads: 4, kvHeads: 2, headSize: 8, feedForward: 48, vocabulary: 97 },
  ...{ context: 512, theta: 10_000, tied: false, biases: false },
};

/** A checkpoint in memory, with its weights as float32 numbers by name. */
export interface Checkpoint {
  readonly shape: TinyShape;
  readonly files: ModelFiles;
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** Random f32 weights, peaky enough for rows to matter: attention logits spread over several units. */
export function checkpoint(
  change: Partial<TinyShape> = {},
  { seed = 1, stop = [] as readonly number[] } = {},
): Checkpoint {
  const shape = { ...tiny, ...change };
  const next = random(seed);
  const weights = new Map<string, Float32Array>();
  const dims = new Map<string, number[]>();
  const add = (name: string, spread: number, about: number, ...size: number[]) => {
    dims.set(name, size);
    const count = size.reduce((a, b) => a * b, 1);
    weights.set(
      name,
      Float32Array.from({ length: count }, () => about + spread * (next() + next() + next() - 1.5)),
    );
  };
  const { hidden, queryHeads, kvHeads, headSize, feedForward, vocabulary, layers } = shape;
  const wide = 2 / Math.sqrt(hidden);
  add("model.embed_tokens.weight", 2, 0, vocabulary, hidden);
  for (let layer = 0; layer < layers; layer++) {
    const linear = (name: string, out: number, width: number, spread: number) => {
      add(`model.layers.${layer}.${name}.weight`, spread, 0, out, width);
      if (shape.biases) add(`model.layers.${layer}.${name}.bias`, 0.5, 0, out);
    };
    add(`model.layers.${layer}.input_layernorm.weight`, 0.3, 1, hidden);
    linear("self_attn.q_proj", queryHeads * headSize, hidden, 2 * wide);
    linear("self_attn.k_proj", kvHeads * headSize, hidden, 2 * wide);
    linear("self_attn.v_proj", kvHeads * headSize, hidden, wide);
    linear("self_attn.o_proj", hidden, queryHeads * headSize, wide);
    add(`model.layers.${layer}.post_attention_layernorm.weight`, 0.3, 1, hidden);
    linear("mlp.gate_proj", feedForward, hidden, wide);
    linear("mlp.up_proj", feedForward, hidden, wide);
    linear("mlp.down_proj", hidden, feedForward, wide);
  }
  add("model.norm.weight", 0.3, 1, hidden);
  if (!shape.tied) add("lm_head.weight", wide, 0, vocabulary, hidden);
  const config = {
    architectures: ["LlamaForCausalLM"],
    hidden_size: hidden,
    intermediate_size: feedForward,
    num_hidden_layers: layers,
    num_attention_heads: queryHeads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    vocab_size: vocabulary,
    max_position_embeddings: shape.context,
    rms_norm_eps: 1e-5,
    rope_theta: shape.theta,
    hidden_act: "silu",
    tie_word_embeddings: shape.tied,
    attention_bias: shape.biases,
    mlp_bias: shape.biases,
    ...(stop.length > 0 ? { eos_token_id: stop } : {}),
  };
  const files = memoryFiles(
    { "config.json": JSON.stringify(config), "model.safetensors": safetensors(weights, dims) },
    `tiny (seed ${seed})`,
  );
  return { shape, files, weights };
}

/** The safetensors format: the header's length, the header, the numbers. */
function safetensors(weights: ReadonlyMap<string, Float32Array>, dims: ReadonlyMap<string, number[]>): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, data] of weights) {
    header[name] = { dtype: "F32", shape: dims.get(name), data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let at = 8 + text.length;
  for (const data of weights.values()) {
    bytes.set(new Uint8Array(data.buffer), at);
    at += data.byteLength;
  }
  return bytes;
}

/** Seeded token ids. */
export function randomIds(count: number, seed: number, vocabulary = tiny.vocabulary): number[] {
  const next = random(seed);
  return Array.from({ length: count }, () => Math.floor(next() * vocabulary));
}
