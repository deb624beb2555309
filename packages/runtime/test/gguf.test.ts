import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  ConfigError,
  FormatError,
  loadModel,
  logProbabilities,
  memoryFiles,
  openModel,
  openWeights,
  readGguf,
  type StoredTensor,
} from "@ziggurat/runtime";
import { folder } from "@ziggurat/runtime/node";
import { reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { type GgufTensor, type Typed, writeGguf } from "./support/gguf.js";

const home = fileURLToPath(new URL("fixtures/families/", import.meta.url));
const types = { f32: 0, f16: 1, bf16: 30 } as Readonly<Record<string, number>>;

interface Config {
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

/** Rows of each head from halves to pairs: reshape(heads, 2, half, -1).swapaxes(1, 2), as the converter does to Llama's queries and keys. */
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
  if (architecture === "llama" && /[qk]_proj/.test(name)) return { name: to, shape, type: types[dtype]!, bytes: toPairs(bytes, shape[0]!, headSize) };
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
  const at = (key: string, value: Typed | undefined): Record<string, Typed> => (value ? { [`${architecture}.${key}`]: value } : {});
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
    ...at("attention.sliding_window", typeof config.sliding_window === "number" ? ["u32", config.sliding_window] : undefined),
    ...at("rope.freq_base", ["f32", theta]),
    ...at("rope.dimension_count", ["u32", config.head_dim]),
    ...(kind === "linear" || kind === "yarn"
      ? { ...at("rope.scaling.type", ["string", kind]), ...at("rope.scaling.factor", ["f32", Number(rope.factor)]) }
      : {}),
    ...(kind !== "default" && original !== undefined ? at("rope.scaling.original_context_length", ["u32", Number(original)]) : {}),
  };
}

/** A checkpoint of transformers as a GGUF file. */
async function ggufOf(name: string, architecture: string, more: Record<string, Typed> = {}, extra: readonly GgufTensor[] = []): Promise<Uint8Array> {
  const config = JSON.parse(readFileSync(`${home}/${name}/config.json`, "utf8")) as Config;
  const weights = await openWeights(folder(`${home}/${name}`));
  const tensors = await Promise.all(weights.names.map((tensor) => convertTensor(weights.tensor(tensor), architecture, config.head_dim)));
  return writeGguf({ ...metadataOf(architecture, config), ...more }, [...tensors, ...extra]);
}

const vector = (name: string, numbers: readonly number[]): GgufTensor => ({
  name,
  shape: [numbers.length],
  type: 0,
  bytes: new Uint8Array(Float32Array.from(numbers).buffer),
});

describe("GGUF files of every family", () => {
  const cases: [name: string, architecture: string, more?: Record<string, Typed>, extra?: GgufTensor[]][] = [
    ["llama-tied", "llama"],
    ["llama-yarn", "llama"],
    ["mistral-window", "llama"],
    ["qwen2-biases", "qwen2"],
    ["qwen3-yarn", "qwen3"],
    // As in newer files; older ones leave out what all Gemma 3 models of their time had in common.
    ["gemma3-written-by-4", "gemma3", { "gemma3.attention.sliding_window_pattern": ["u32", 2], "gemma3.rope.freq_base_swa": ["f32", 50] }],
    [
      "phi3-longrope-long",
      "phi3",
      { "phi3.rope.scaling.attn_factor": ["f32", Math.sqrt(1 + Math.log(4) / Math.log(32))] },
      [vector("rope_factors_short.weight", [1, 1.3, 1.6]), vector("rope_factors_long.weight", [1.1, 4.05, 7])],
    ],
  ];
  it.each(cases)("%s as %s: reads as the checkpoint that it was made from", async (name, architecture, more, extra) => {
    const expected = JSON.parse(readFileSync(`${home}/${name}/expected.json`, "utf8")) as { prompt: number[]; log_probabilities: number[] };
    const backend = reference();
    // Gemma's scale is not in the metadata: it goes by the head size, which is not what this checkpoint has.
    const scaled = architecture === "gemma3";
    const files = memoryFiles({ "model.gguf": await ggufOf(name, architecture, more, extra) });
    const model = await loadModel(files, { backend, rows: "f32", weights: "f32" });
    const scores = await logProbabilities(model, expected.prompt);
    if (scaled) {
      const config = JSON.parse(readFileSync(`${home}/${name}/config.json`, "utf8")) as Config;
      const plain = folder(`${home}/${name}`);
      const json = new TextEncoder().encode(JSON.stringify({ ...config, query_pre_attn_scalar: config.head_dim }));
      const other = {
        ...plain,
        open: async (file: string) => (file === "config.json" ? memoryFiles({ file: json }).open("file") : plain.open(file)),
      };
      const twin = await loadModel(other, { backend, rows: "f32", weights: "f32" });
      const wanted = await logProbabilities(twin, expected.prompt);
      scores.forEach((score, i) => void expect(Math.abs(score - wanted[i]!), `token ${i + 1}`).toBeLessThan(1e-5));
      return;
    }
    expected.log_probabilities.forEach((score, i) => {
      expect(Math.abs(scores[i]! - score), `token ${i + 1}: ${scores[i]}, not ${score}`).toBeLessThan(1e-3 * (1 + Math.abs(score)));
    });
  });
  it("covers every family", () => {
    const families = new Set(readdirSync(home).map((name) => name.split("-")[0]));
    expect(new Set(cases.map(([name]) => name.split("-")[0]))).toEqual(families);
  });
});

const metadata = { "general.architecture": ["string", "llama"] } as const satisfies Record<string, Typed>;
const tensor = (name: string, change: Partial<GgufTensor> = {}): GgufTensor => ({
  name,
  shape: [2, 32],
  type: 8,
  bytes: new Uint8Array(68),
  ...change,
});
const open = async (bytes: Uint8Array) => readGguf((await memoryFiles({ a: bytes }).open("a"))!, "a.gguf");
const patched = (bytes: Uint8Array, at: number, ...values: number[]) => {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
};

describe("readGguf", () => {
  const good = writeGguf({ ...metadata, list: ["i32s", [1, -2]], flag: ["bool", 1], big: ["u64", 2 ** 40] }, [
    tensor("b"),
    tensor("a", { shape: [64], type: 0, bytes: new Uint8Array(256).fill(7) }),
  ]);

  it("reads metadata and places tensors", async () => {
    const gguf = await open(good);
    expect(Object.fromEntries(gguf.metadata)).toEqual({ "general.architecture": "llama", list: [1, -2], flag: true, big: 2 ** 40 });
    const [b, a] = [...gguf.tensors.values()];
    expect([b!.info.name, b!.info.shape, b!.dtype(), b!.bytes]).toEqual(["b", [2, 32], "q8_0", 68]);
    expect(a!.begin % 32).toBe(0);
    expect(good.subarray(a!.begin, a!.begin + a!.bytes).every((byte) => byte === 7)).toBe(true);
  });

  it("reads headers of more than a megabyte", async () => {
    const many = Array.from({ length: 200_000 }, (_, i) => `token ${i}`);
    const gguf = await open(writeGguf({ ...metadata, many: ["strings", many] }, [tensor("b")]));
    expect(gguf.metadata.get("many")).toEqual(many);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["a file that is too short", good.subarray(0, 20), /a\.gguf: 20 bytes; a GGUF file has 24/],
    ["another magic", patched(good, 0, 0x58), /starts with "XGUF"/],
    ["version 1", patched(good, 4, 1), /is of GGUF version 1; versions 2 and 3/],
    ["a big-endian file", patched(good, 4, 0, 0, 0, 3), /is a big-endian GGUF file/],
    ["more tensors than fit", patched(good, 8, 255, 255), /says at byte 8 that there are 65535 tensors; the \d+ bytes that follow cannot hold them/],
    ["a count of 2^63", patched(good, 16, 0, 0, 0, 0, 0, 0, 0, 128), /there are 9223372036854775808 metadata/],
    ["a header cut short", good.subarray(0, 60), /a\.gguf: 60 bytes; what is at byte \d+ takes|says at byte/],
    ["a name that repeats", writeGguf(metadata, [tensor("w"), tensor("w")]), /has the tensor "w" twice/],
    ["an unknown type", writeGguf(metadata, [tensor("w", { type: 77 })]), /tensor "w" is of the element type 77, which is not known/],
    [
      "rows that are no whole blocks",
      writeGguf(metadata, [tensor("w", { shape: [2, 33] })]),
      /tensor "w": rows of 33 numbers are no whole number of Q8_0 blocks of 32/,
    ],
    ["no axes", writeGguf(metadata, [tensor("w", { shape: [] })]), /tensor "w" has 0 axes; it may have 1 to 4/],
    ["tensors beyond the file", good.subarray(0, good.length - 32), /tensor "a" ends at byte \d+; the file has \d+/],
    ["an alignment of 3", writeGguf({ "general.alignment": ["u32", 3] }, []), /general\.alignment is 3; it must be a power of two/],
    ["one part of several", writeGguf({ ...metadata, "split.count": ["u32", 3] }, []), /is one of 3 parts; join them first/],
  ])("refuses %s", async (_, bytes, message) => {
    await expect(open(bytes)).rejects.toThrow(message);
    await expect(open(bytes)).rejects.toThrow(FormatError);
  });

  it("refuses tensors that overlap", async () => {
    const file = writeGguf(metadata, [tensor("v"), tensor("w")]);
    const text = new TextDecoder("latin1").decode(file);
    // The second tensor's offset is the last thing of its entry.
    const at = text.lastIndexOf("w") + 1 + 4 + 16 + 4;
    await expect(open(patched(file, at, 32))).rejects.toThrow(/tensor "w" starts at byte \d+ and overlaps the one before it/);
    await expect(open(patched(file, at, 33))).rejects.toThrow(/starts at 33, which is no multiple of 32/);
  });

  it("names a type that it does not read, and a tensor that is not there", async () => {
    const gguf = await open(writeGguf(metadata, [tensor("w", { shape: [256], type: 10, bytes: new Uint8Array(84) })]));
    expect(() => gguf.tensors.get("w")!.dtype()).toThrow(/tensor "w" is Q2_K; this reader takes F32, F16, Q4_0/);
  });

  it("refuses an architecture by name", async () => {
    const opened = openModel(memoryFiles({ "m.gguf": writeGguf({ "general.architecture": ["string", "mamba"] }, []) }));
    await expect(opened).rejects.toThrow(/m\.gguf: architecture "mamba" is not supported; supported are llama, qwen2, qwen3, gemma3, phi3/);
    await expect(opened).rejects.toThrow(ConfigError);
  });
});
