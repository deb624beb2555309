import { ConfigError, show } from "../error.js";
import { convert } from "../weights/convert.js";
import { type Gguf, storedTensor } from "./gguf.js";
import type { GgufFacts, GgufFamily, GgufForm } from "./names.js";

export interface GgufConfiguration {
  readonly form: GgufForm;
  readonly headSize: number;
  /** What config.json would hold, unchecked. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly generation: Readonly<Record<string, unknown>>;
}

/**
 * A model's configuration from its metadata (keys as in gguf-py's constants.py). Rejects with a {@link ConfigError} if
 * the file holds something other than a model, or none of `families`.
 */
export async function ggufConfig(gguf: Gguf, families: readonly GgufFamily[]): Promise<GgufConfiguration> {
  const { file, metadata, tensors } = gguf;
  checkKind(gguf);
  const architecture = metadata.get("general.architecture");
  const candidates = families.flatMap(({ architectures, gguf: form }) =>
    form && form.architecture === architecture ? [{ name: architectures[0], form }] : [],
  );
  if (candidates.length === 0) {
    const known = [...new Set(families.flatMap(({ gguf: form }) => form?.architecture ?? []))].join(", ");
    throw new ConfigError(`${file}: architecture ${show(architecture)} is not supported; supported are ${known}`);
  }
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
  const facts: GgufFacts = { get, layers, hiddenSize, queryHeads, headSize };
  const { name, form } = candidates.find((family) => family.form.matches?.(facts) ?? true) ?? candidates[0]!;
  const slidingWindow = get("attention.sliding_window");
  const config = {
    architectures: [name],
    hidden_size: hiddenSize,
    intermediate_size: one(gguf, `${architecture}.feed_forward_length`),
    num_hidden_layers: layers,
    num_attention_heads: queryHeads,
    num_key_value_heads: one(gguf, `${architecture}.attention.head_count_kv`) ?? queryHeads,
    num_experts: get("expert_count"),
    head_dim: headSize,
    vocab_size: embedding.info.shape[0],
    max_position_embeddings: get("context_length"),
    rms_norm_eps: get("attention.layer_norm_rms_epsilon"),
    rope_theta: get("rope.freq_base") ?? 10_000,
    rope_scaling: await ropeScaling(gguf, architecture as string),
    partial_rotary_factor: Number(get("rope.dimension_count") ?? headSize) / headSize,
    tie_word_embeddings: !tensors.has("output.weight"),
    attention_bias: tensors.has("blk.0.attn_q.bias"),
    ...(slidingWindow === undefined || slidingWindow === 0 ? {} : { sliding_window: slidingWindow }),
    ...form.config?.(facts),
  };
  // An id outside of the vocabulary is none, as llama.cpp has it.
  const token = (token: string) => {
    const id = metadata.get(`tokenizer.ggml.${token}_token_id`);
    return typeof id === "number" && id >= (embedding.info.shape[0] ?? 0) ? undefined : id;
  };
  const ends = ["eos", "eot", "eom"].flatMap((end) => token(end) ?? []);
  return { form, headSize, config, generation: { eos_token_id: [...new Set(ends)], bos_token_id: token("bos") } };
}

/** Throws a {@link ConfigError} for files that hold something other than a language model (`general.type`). */
function checkKind({ metadata, tensors, file }: Gguf): void {
  const type = metadata.get("general.type") ?? "model";
  const architecture = metadata.get("general.architecture");
  // Older adapters have no type.
  if (
    type === "adapter" ||
    metadata.has("adapter.type") ||
    [...tensors.keys()].some((name) => /\.lora_[ab]$/.test(name))
  )
    throw new ConfigError(`${file}: is an adapter, not a model; merge it into its base model first`);
  if (type === "mmproj" || type === "clip-vision" || architecture === "clip")
    throw new ConfigError(
      `${file}: is a model's encoder of images or sounds (mmproj), not a language model; give the model's own file`,
    );
  if (type !== "model") throw new ConfigError(`${file}: general.type is ${show(type)}; it must be "model"`);
}

/** A number that some files give for every layer. Throws a {@link ConfigError} if layers differ. */
function one({ metadata, file }: Gguf, key: string): unknown {
  const value = metadata.get(key);
  if (!Array.isArray(value)) return value;
  if (value.some((entry) => entry !== value[0]))
    throw new ConfigError(`${file}: ${key} is ${show(value)}; layers must not differ`);
  return value[0];
}

/**
 * Scaling of rotary frequencies, as transformers' `rope_scaling`. Factors that are stored for each frequency, as for
 * Llama 3.1, become longrope.
 */
async function ropeScaling(gguf: Gguf, architecture: string): Promise<Record<string, unknown> | null> {
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

/** The most numbers of a vector of the configuration. */
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
