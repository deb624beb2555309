import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type GgufTensor, type Typed, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { openWeights, type StoredTensor } from "@ziggurat/runtime/formats";
import { folder } from "@ziggurat/runtime/node";

// Checkpoints of transformers as GGUF files, as llama.cpp's converter writes them.

export const home = fileURLToPath(new URL("../fixtures/families/", import.meta.url));
const types = { f32: 0, f16: 1, bf16: 30 } as Readonly<Record<string, number>>;

export interface Config {
  readonly architectures: readonly string[];
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly num_hidden_layers: number;
  readonly head_dim: number;
  readonly [key: string]: unknown;
}

/** GGUF's names of a family's tensors, as llama.cpp's converter has them. */
const shared = {
  embed_tokens: "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
  q_proj: "attn_q",
  k_proj: "attn_k",
  v_proj: "attn_v",
  o_proj: "attn_output",
};
const inLayers = {
  qkv_proj: "attn_qkv",
  gate_up_proj: "ffn_up",
  gate_proj: "ffn_gate",
  up_proj: "ffn_up",
  down_proj: "ffn_down",
  input_layernorm: "attn_norm",
};
const gemmaNorms = {
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm",
};
function nameOf(name: string, gemma: boolean): string {
  const norms = gemma ? gemmaNorms : { post_attention_layernorm: "ffn_norm" };
  const all = { ...shared, ...inLayers, ...norms, q_norm: "attn_q_norm", k_norm: "attn_k_norm" };
  const kind = name.endsWith(".bias") ? "bias" : "weight";
  const stem = name.replace(/\.(weight|bias)$/, "");
  const part = Object.keys(all).find((key) => stem === key || stem.endsWith(`.${key}`))!;
  const layer = /layers\.(\d+)\./.exec(name)?.[1];
  return `${layer === undefined ? "" : `blk.${layer}.`}${all[part as keyof typeof all]}.${kind}`;
}

/**
 * Rows of each head from halves to pairs: reshape(heads, 2, half, -1).swapaxes(1, 2), as the converter does to Llama's
 * queries and keys.
 */
function toPairs(bytes: Uint8Array, rows: number, headSize: number): Uint8Array {
  const stride = bytes.length / rows;
  const out = new Uint8Array(bytes.length);
  for (let head = 0; head < rows / headSize; head++)
    for (let half = 0; half < 2; half++)
      for (let i = 0; i < headSize / 2; i++) {
        const from = head * headSize + half * (headSize / 2) + i;
        out.set(bytes.subarray(from * stride, (from + 1) * stride), (head * headSize + 2 * i + half) * stride);
      }
  return out;
}

async function convertTensor(tensor: StoredTensor, architecture: string, headSize: number): Promise<GgufTensor> {
  const { name, shape, dtype } = tensor;
  const bytes = await tensor.read();
  const gemma = architecture === "gemma3";
  const to = nameOf(name, gemma);
  if (architecture === "llama" && /[qk]_proj/.test(name))
    return { name: to, shape, type: types[dtype]!, bytes: toPairs(bytes, shape[0]!, headSize) };
  if (!name.includes("norm")) return { name: to, shape, type: types[dtype]!, bytes };
  const numbers = Float32Array.from(
    new Uint16Array(bytes.buffer),
    (bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]! + (gemma ? 1 : 0),
  );
  return { name: to, shape, type: 0, bytes: new Uint8Array(numbers.buffer) };
}

/** Metadata as the converter writes them. */
function metadataOf(architecture: string, config: Config): Record<string, Typed> {
  const rope = (config.rope_scaling ??
    (config.rope_parameters as Record<string, unknown> | undefined)?.full_attention ??
    config.rope_parameters ??
    {}) as Record<string, unknown>;
  const theta = Number(config.rope_theta ?? rope.rope_theta);
  const kind = String(rope.rope_type ?? rope.type ?? "default");
  const at = (key: string, value: Typed | undefined): Record<string, Typed> =>
    value ? { [`${architecture}.${key}`]: value } : {};
  const original = rope.original_max_position_embeddings ?? config.original_max_position_embeddings;
  return {
    "general.architecture": ["string", architecture],
    ...at("block_count", ["u32", config.num_hidden_layers]),
    ...at("context_length", ["u32", Number(config.max_position_embeddings)]),
    ...at("embedding_length", ["u32", config.hidden_size]),
    ...at("feed_forward_length", ["u32", Number(config.intermediate_size)]),
    ...at("attention.head_count", ["u32", config.num_attention_heads]),
    ...at("attention.head_count_kv", ["u32", config.num_key_value_heads]),
    ...at("attention.key_length", ["u32", config.head_dim]),
    ...at("attention.value_length", ["u32", config.head_dim]),
    ...at("attention.layer_norm_rms_epsilon", ["f32", Number(config.rms_norm_eps)]),
    ...at(
      "attention.sliding_window",
      typeof config.sliding_window === "number" ? ["u32", config.sliding_window] : undefined,
    ),
    ...at("rope.freq_base", ["f32", theta]),
    ...at("rope.dimension_count", ["u32", config.head_dim]),
    ...(kind === "linear" || kind === "yarn"
      ? { ...at("rope.scaling.type", ["string", kind]), ...at("rope.scaling.factor", ["f32", Number(rope.factor)]) }
      : {}),
    ...(kind !== "default" && original !== undefined
      ? at("rope.scaling.original_context_length", ["u32", Number(original)])
      : {}),
  };
}

/** A checkpoint of transformers as a GGUF file. */
export async function ggufOf(
  name: string,
  architecture: string,
  more: Record<string, Typed> = {},
  extra: readonly GgufTensor[] = [],
): Promise<Uint8Array> {
  const { metadata, tensors } = await converted(name, architecture);
  return writeGguf({ ...metadata, ...more }, [...tensors, ...extra]);
}

/** A Llama as a GGUF file of another architecture, with other names of tensors. */
export async function renamedGgufOf(
  name: string,
  architecture: string,
  rename: (tensor: string) => string,
): Promise<Uint8Array> {
  const { metadata, tensors } = await converted(name, "llama");
  const own = Object.entries(metadata).map(([key, value]) => [key.replace(/^llama\./, `${architecture}.`), value]);
  return writeGguf(
    { ...(Object.fromEntries(own) as typeof metadata), "general.architecture": ["string", architecture] },
    tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) })),
  );
}

/** The same cut into `count` files, as gguf-split does: the first has all metadata, and here no tensors. */
export async function ggufPartsOf(
  name: string,
  architecture: string,
  count: number,
): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const { metadata, tensors } = await converted(name, architecture);
  const each = Math.ceil(tensors.length / (count - 1));
  const five = (number: number) => String(number).padStart(5, "0");
  const parts = Array.from({ length: count }, (_, part): [string, Uint8Array<ArrayBuffer>] => {
    const split: Record<string, Typed> = {
      "split.no": ["u16", part],
      "split.count": ["u16", count],
      "split.tensors.count": ["i32", tensors.length],
    };
    const own = part === 0 ? [] : tensors.slice(each * (part - 1), each * part);
    return [
      `${name}-${five(part + 1)}-of-${five(count)}.gguf`,
      writeGguf({ ...(part === 0 ? metadata : {}), ...split }, own),
    ];
  });
  return Object.fromEntries(parts);
}

async function converted(
  name: string,
  architecture: string,
): Promise<{ metadata: Record<string, Typed>; tensors: GgufTensor[] }> {
  const config = JSON.parse(readFileSync(`${home}/${name}/config.json`, "utf8")) as Config;
  const weights = await openWeights(folder(`${home}/${name}`));
  const tensors = await Promise.all(
    weights.names.map((tensor) => convertTensor(weights.tensor(tensor), architecture, config.head_dim)),
  );
  return { metadata: metadataOf(architecture, config), tensors };
}
