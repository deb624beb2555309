import { ConfigError, show } from "../error.js";
import { convert } from "../weights/convert.js";
import { type Gguf, storedTensor } from "./gguf.js";
import { architectures, type GgufArchitecture } from "./names.js";

export interface GgufConfiguration {
  /** As GGUF names it. */
  readonly architecture: keyof typeof architectures;
  readonly headSize: number;
  /** As transformers would write it into config.json, yet unchecked. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly generation: Readonly<Record<string, unknown>>;
}

/**
 * A model's configuration from its metadata (keys as in gguf-py's constants.py). Rejects with {@link ConfigError} where
 * the architecture is not supported.
 */
export async function ggufConfig(gguf: Gguf): Promise<GgufConfiguration> {
  const { file, metadata, tensors } = gguf;
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string" || !Object.hasOwn(architectures, architecture)) {
    throw new ConfigError(
      `${file}: architecture ${show(architecture)} is not supported; supported are ${Object.keys(architectures).join(", ")}`,
    );
  }
  const named = architecture as keyof typeof architectures;
  const get = (key: string) => metadata.get(`${architecture}.${key}`);
  const embedding = tensors.get("token_embd.weight");
  if (!embedding) throw new ConfigError(`${file}: has no tensor "token_embd.weight"`);
  const hiddenSize = get("embedding_length");
  const queryHeads = one(gguf, `${architecture}.attention.head_count`);
  const headSize = Number(get("attention.key_length") ?? Number(hiddenSize) / Number(queryHeads));
  if (!Number.isSafeInteger(headSize) || headSize < 1)
    throw new ConfigError(`${file}: the head size is ${headSize}; it must be a whole number`);
  const values = get("attention.value_length");
  if (values !== undefined && values !== headSize) {
    throw new ConfigError(
      `${file}: ${architecture}.attention.value_length is ${show(values)}; it must be that of keys, ${headSize}`,
    );
  }
  const layers = get("block_count");
  const { family }: GgufArchitecture = architectures[named];
  const slidingWindow = get("attention.sliding_window");
  const config = {
    architectures: [named === "llama" && slidingWindow !== undefined ? "MistralForCausalLM" : family],
    hidden_size: hiddenSize,
    intermediate_size: one(gguf, `${architecture}.feed_forward_length`),
    num_hidden_layers: layers,
    num_attention_heads: queryHeads,
    num_key_value_heads: one(gguf, `${architecture}.attention.head_count_kv`) ?? queryHeads,
    head_dim: headSize,
    vocab_size: embedding.info.shape[0],
    max_position_embeddings: get("context_length"),
    rms_norm_eps: get("attention.layer_norm_rms_epsilon"),
    rope_theta: get("rope.freq_base") ?? 10_000,
    rope_scaling: await ropeScaling(gguf, named),
    partial_rotary_factor: Number(get("rope.dimension_count") ?? headSize) / headSize,
    tie_word_embeddings: !tensors.has("output.weight"),
    attention_bias: tensors.has("blk.0.attn_q.bias"),
    ...(slidingWindow === undefined || slidingWindow === 0 ? {} : { sliding_window: slidingWindow }),
    ...(named === "gemma3" ? gemma(get, Number(layers), headSize, Number(hiddenSize) / Number(queryHeads)) : {}),
    ...(named === "phi3" ? { original_max_position_embeddings: get("rope.scaling.original_context_length") } : {}),
  };
  // An id outside of the vocabulary is none, as llama.cpp has it.
  const token = (name: string) => {
    const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof id === "number" && id >= (embedding.info.shape[0] ?? 0) ? undefined : id;
  };
  const ends = ["eos", "eot", "eom"].flatMap((name) => token(name) ?? []);
  return {
    architecture: named,
    headSize,
    config,
    generation: { eos_token_id: [...new Set(ends)], bos_token_id: token("bos") },
  };
}

/** A number that some files give for every layer. Throws a {@link ConfigError} where layers differ. */
function one({ metadata, file }: Gguf, key: string): unknown {
  const value = metadata.get(key);
  if (!Array.isArray(value)) return value;
  if (value.some((entry) => entry !== value[0]))
    throw new ConfigError(`${file}: ${key} is ${show(value)}; layers must not differ`);
  return value[0];
}

/**
 * What Gemma 3's metadata leave to the reader, as llama.cpp fills it in (llama-model.cpp): one global layer in six, the
 * local theta, the 27B model's scale.
 */
function gemma(get: (key: string) => unknown, layers: number, headSize: number, hiddenPerHead: number) {
  return {
    hidden_activation: "gelu_pytorch_tanh",
    sliding_window_pattern: get("attention.sliding_window_pattern") ?? 6,
    rope_local_base_freq: get("rope.freq_base_swa") ?? 10_000,
    query_pre_attn_scalar: layers === 62 ? hiddenPerHead : headSize,
    rope_theta: get("rope.freq_base") ?? 1_000_000,
  };
}

/**
 * Scaling of rotary frequencies. Factors that are stored one by one (Llama 3.1's too) are what transformers calls
 * longrope.
 */
async function ropeScaling(
  gguf: Gguf,
  architecture: keyof typeof architectures,
): Promise<Record<string, unknown> | null> {
  const { metadata } = gguf;
  const get = (key: string) => metadata.get(`${architecture}.rope.scaling.${key}`);
  const factors = await vector(gguf, "rope_freqs.weight");
  if (factors) return { rope_type: "longrope", short_factor: factors, long_factor: factors, attention_factor: 1 };
  const long = await vector(gguf, "rope_factors_long.weight");
  const original = get("original_context_length");
  if (long) {
    const short = await vector(gguf, "rope_factors_short.weight");
    return { rope_type: "longrope", short_factor: short, long_factor: long, attention_factor: get("attn_factor") ?? 1 };
  }
  const type = get("type") ?? "none";
  if (type === "none") return null;
  return {
    rope_type: type,
    factor: get("factor"),
    ...(original === undefined ? {} : { original_max_position_embeddings: original }),
  };
}

/** The most numbers of a vector that belongs to the configuration. */
const longest = 4096;

async function vector(gguf: Gguf, name: string): Promise<number[] | undefined> {
  const found = gguf.tensors.get(name);
  if (!found) return undefined;
  const { shape } = found.info;
  if (shape.length !== 1 || shape[0]! > longest) {
    throw new ConfigError(
      `${gguf.file}: tensor "${name}" has shape [${shape.join(", ")}]; it must be one axis of up to ${longest}`,
    );
  }
  const stored = storedTensor(found);
  const bytes = convert(await stored.read(), stored.dtype, "f32", shape, name);
  return [...new Float32Array(bytes.buffer, bytes.byteOffset, shape[0]!)];
}
