import { type Fields, fieldsOf } from "./fields.js";

/** A model's configuration as parsed, unchecked JSON, with the names of its files for errors. */
export interface Configuration {
  readonly json: unknown;
  readonly file: string;
  readonly generation: unknown;
  readonly generationFile: string;
}

// Facts that every model's `config.json` and `generation_config.json` have. The files are hostile until checked: every
// number is bounded.

/** Sizes are counts of numbers; heads are per layer. */
export interface Sizes {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly vocabularySize: number;
  /** Tokens of the longest text that the model was made for, as `max_position_embeddings` says. */
  readonly contextLength: number;
  readonly normEpsilon: number;
}

/**
 * Reads and checks the sizes. `headSize` stands for an absent `head_dim`. Throws a `ConfigError` that names the field,
 * its value and what would be right.
 */
export function readSizes(
  { has, fail, whole, number }: Fields,
  { headSize: missing }: { headSize?: number } = {},
): Sizes {
  if (has("quantization_config"))
    fail("quantization_config", "absent: weights are read in F32, F16 or BF16, or from a GGUF file");
  const hiddenSize = whole("hidden_size", 2, 2 ** 17);
  if (hiddenSize % 2 !== 0) fail("hidden_size", "even, since devices hold two 16-bit numbers in a word");
  const queryHeads = whole("num_attention_heads", 1, 2 ** 10);
  const kvHeads = whole("num_key_value_heads", 1, queryHeads, queryHeads);
  if (queryHeads % kvHeads !== 0) fail("num_key_value_heads", `a divisor of num_attention_heads, ${queryHeads}`);
  const headSize = whole("head_dim", 2, 2 ** 10, missing ?? hiddenSize / queryHeads);
  if (headSize % 2 !== 0) fail("head_dim", "even, since rotary embedding turns pairs");
  return {
    hiddenSize,
    intermediateSize: whole("intermediate_size", 1, 2 ** 20),
    layers: whole("num_hidden_layers", 1, 2 ** 10),
    queryHeads,
    kvHeads,
    headSize,
    vocabularySize: whole("vocab_size", 1, 2 ** 22),
    contextLength: whole("max_position_embeddings", 1, 2 ** 27),
    normEpsilon: number("rms_norm_eps", 1e-12, 1e-1, 1e-6),
  };
}

/** Facts of `generation_config.json`, or of `config.json` for fields that are absent there. */
export interface GenerationConfig {
  /** Tokens that end an answer. */
  readonly stopIds: readonly number[];
  /** The token that begins a text, if the files name one. */
  readonly bosId: number | undefined;
}

/** Token ids of a checked configuration. Throws a `ConfigError`. */
export function parseGeneration(
  json: unknown,
  config: unknown,
  vocabularySize: number,
  file = "generation_config.json",
): GenerationConfig {
  const own = fieldsOf(json ?? {}, file);
  const model = fieldsOf(config ?? {}, "config.json");
  const ids = (field: string): number[] => {
    const from = own.has(field) ? own : model;
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
