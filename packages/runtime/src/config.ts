import { ConfigError, show } from "./error.js";
import { isRecord, type ModelFiles, readJson } from "./files.js";

// Facts of a model from `config.json` and `generation_config.json`, under names of our own. The files are hostile until checked: every number is bounded.

/** What the Llama architecture needs to know. Sizes are counts of numbers; heads are per layer. */
export interface LlamaConfig {
  readonly architecture: "LlamaForCausalLM";
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly vocabularySize: number;
  /** Tokens of the longest text that the model was made for. */
  readonly contextLength: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  /** The output matrix is the embedding. */
  readonly tiedEmbeddings: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
}

export type ModelConfig = LlamaConfig;

/** Architectures that {@link parseConfig} takes. */
export const architectures = ["LlamaForCausalLM"] as const;

/** Reads fields of one JSON object; every error names the file and the field. */
function fieldsOf(json: unknown, file: string) {
  if (!isRecord(json)) throw new ConfigError(`${file}: is ${show(json)}; it must be an object`);
  const fail = (field: string, right: string): never => {
    throw new ConfigError(`${file}: ${field} is ${show(json[field])}; it must be ${right}`);
  };
  return {
    json,
    fail,
    /** A whole number from `least` to `most`. */
    whole(field: string, least: number, most: number, missing?: number): number {
      const value = json[field] ?? missing;
      if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
        fail(field, `a whole number from ${least} to ${most}`);
      }
      return value as number;
    },
    number(field: string, least: number, most: number, missing?: number): number {
      const value = json[field] ?? missing;
      if (typeof value !== "number" || !(value >= least && value <= most)) fail(field, `a number from ${least} to ${most}`);
      return value as number;
    },
    flag(field: string, missing: boolean): boolean {
      const value = json[field] ?? missing;
      if (typeof value !== "boolean") fail(field, "true or false");
      return value as boolean;
    },
  };
}
type Fields = ReturnType<typeof fieldsOf>;

/**
 * A parsed `config.json`, checked. Takes configurations as transformers 4 (`rope_theta`, `rope_scaling`) and 5 (`rope_parameters`) write them.
 * Throws {@link ConfigError}, which names the field, its value and what would be right.
 */
export function parseConfig(json: unknown, file = "config.json"): ModelConfig {
  const fields = fieldsOf(json, file);
  const named = fields.json.architectures;
  const architecture = Array.isArray(named) ? (named[0] as unknown) : undefined;
  if (architecture !== "LlamaForCausalLM") {
    const given = architecture === undefined ? `architectures is ${show(named)}` : `the architecture is ${show(architecture)}`;
    throw new ConfigError(`${file}: ${given}; supported: ${architectures.join(", ")}`);
  }
  return parseLlama(fields, file);
}

function parseLlama(fields: Fields, file: string): LlamaConfig {
  const { json, whole, number, flag, fail } = fields;
  if (json.quantization_config !== undefined && json.quantization_config !== null) {
    fail("quantization_config", "absent: weights are read in F32, F16 or BF16");
  }
  const activation = json.hidden_act ?? "silu";
  if (activation !== "silu") fail("hidden_act", '"silu"');
  const hiddenSize = whole("hidden_size", 1, 2 ** 17);
  const queryHeads = whole("num_attention_heads", 1, 2 ** 10);
  const kvHeads = whole("num_key_value_heads", 1, queryHeads, queryHeads);
  if (queryHeads % kvHeads !== 0) fail("num_key_value_heads", `a divisor of num_attention_heads, ${queryHeads}`);
  const headSize = whole("head_dim", 2, 2 ** 10, hiddenSize / queryHeads);
  if (headSize % 2 !== 0) fail("head_dim", "even, since rotary embedding turns pairs");
  return {
    architecture: "LlamaForCausalLM",
    hiddenSize,
    intermediateSize: whole("intermediate_size", 1, 2 ** 20),
    layers: whole("num_hidden_layers", 1, 2 ** 10),
    queryHeads,
    kvHeads,
    headSize,
    vocabularySize: whole("vocab_size", 1, 2 ** 22),
    contextLength: whole("max_position_embeddings", 1, 2 ** 27),
    normEpsilon: number("rms_norm_eps", 1e-12, 1e-1, 1e-6),
    ropeTheta: parseRope(fields, file),
    tiedEmbeddings: flag("tie_word_embeddings", false),
    attentionBias: flag("attention_bias", false),
    mlpBias: flag("mlp_bias", false),
  };
}

/** Theta of the plain rotary embedding; every other kind is refused by name. */
function parseRope(fields: Fields, file: string): number {
  for (const field of ["rope_parameters", "rope_scaling"] as const) {
    const value = fields.json[field];
    if (value === undefined || value === null) continue;
    if (!isRecord(value)) fields.fail(field, "an object or null");
    const kind = (value as Record<string, unknown>).rope_type ?? (value as Record<string, unknown>).type ?? "default";
    if (kind !== "default") throw new ConfigError(`${file}: ${field} asks for the rope type ${show(kind)}; supported: default`);
  }
  const partial = fields.json.partial_rotary_factor;
  if (partial !== undefined && partial !== null && partial !== 1) fields.fail("partial_rotary_factor", "1 or absent");
  const parameters = fields.json.rope_parameters;
  const holder = isRecord(parameters) && parameters.rope_theta !== undefined ? fieldsOf(parameters, `${file}: rope_parameters`) : fields;
  return holder.number("rope_theta", 1, 1e12, 10_000);
}

/** What `generation_config.json` says, and `config.json` where that is silent. */
export interface GenerationConfig {
  /** Tokens that end an answer; none where the files name none. */
  readonly stopIds: readonly number[];
  /** The token that begins a text, where there is one. */
  readonly bosId: number | undefined;
}

/** Token ids of a checked configuration. Throws {@link ConfigError}. */
export function parseGeneration(json: unknown, config: unknown, vocabularySize: number, file = "generation_config.json"): GenerationConfig {
  const own = fieldsOf(json ?? {}, file);
  const model = fieldsOf(config ?? {}, "config.json");
  const ids = (field: string): number[] => {
    const from = own.json[field] === undefined || own.json[field] === null ? model : own;
    const value = from.json[field];
    if (value === undefined || value === null) return [];
    const list = Array.isArray(value) ? value : [value];
    if (list.length > 1024 || !list.every((id) => Number.isSafeInteger(id) && id >= 0 && id < vocabularySize)) {
      from.fail(field, `a token id from 0 to ${vocabularySize - 1}, or a list of them`);
    }
    return [...new Set(list as number[])];
  };
  return { stopIds: ids("eos_token_id"), bosId: ids("bos_token_id")[0] };
}

/** `config.json` and `generation_config.json` of a model. Rejects with {@link ConfigError} where they are missing or wrong, with FormatError where they are not JSON. */
export async function loadConfig(files: ModelFiles): Promise<{ config: ModelConfig; generation: GenerationConfig }> {
  const json = await readJson(files, "config.json");
  if (json === undefined) throw new ConfigError(`${files.name}: has no config.json`);
  const config = parseConfig(json, `${files.name}/config.json`);
  const generation = parseGeneration(
    await readJson(files, "generation_config.json"),
    json,
    config.vocabularySize,
    `${files.name}/generation_config.json`,
  );
  return { config, generation };
}
