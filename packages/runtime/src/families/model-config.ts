import type { Configuration, GenerationConfig, Sizes } from "../files/config.js";
import { parseGeneration, readSizes } from "../files/config.js";
import { type Fields, fieldsOf } from "../files/fields.js";
import type { Rope } from "./family.js";
import { readRope } from "./rope.js";

/** A configuration's fields, and what every family reads from them. */
export interface ModelConfig {
  readonly fields: Fields;
  readonly sizes: Sizes;
  readonly generation: GenerationConfig;
  /** Tokens that will be read at most: the caller's bound if that is less than `max_position_embeddings`. */
  readonly longest: number;
}

/** Fields that count the experts of a layer: Mixtral and gpt-oss, Qwen and OLMoE, DeepSeek, Ernie. */
const expertCounts = ["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"];

/** Names the field by which a configuration is a mixture of experts; undefined for a dense model. */
export function expertsOf(json: Readonly<Record<string, unknown>>): string | undefined {
  const field = expertCounts.find((name) => typeof json[name] === "number" && (json[name] as number) > 0);
  return field && `${field} is ${json[field] as number}`;
}

/**
 * Reads and checks a configuration. `missing.headSize` stands for an absent `head_dim`. Throws a `ConfigError`, also
 * for a mixture of experts.
 */
export function readConfig(
  { json, file, generation, generationFile }: Configuration,
  contextLength?: number,
  missing?: { headSize?: number },
): ModelConfig {
  const fields = fieldsOf(json, file);
  const experts = expertsOf(fields.json);
  if (experts !== undefined) fields.refuse(`a mixture of experts (${experts}) is not supported`);
  const sizes = readSizes(fields, missing);
  return {
    fields,
    sizes,
    generation: parseGeneration(generation, json, sizes.vocabularySize, generationFile),
    longest: Math.min(sizes.contextLength, contextLength ?? sizes.contextLength),
  };
}

/** The rotary embedding of a model that has the same in all layers. `theta` stands for an absent `rope_theta`. */
export const oneRope = ({ fields, sizes: { headSize, contextLength }, longest }: ModelConfig, theta: number): Rope =>
  readRope(fields, { headSize, contextLength, longest }, { theta });

/** Throws a `ConfigError` if the activation of the feed-forward is another than `name`. */
export function checkActivation({ json, fail }: Fields, field: string, name: string): void {
  if ((json[field] ?? name) !== name) fail(field, `"${name}"`);
}

/** `sliding_window`; undefined if it is absent. */
export const slidingWindow = ({ has, whole }: Fields): number | undefined =>
  has("sliding_window") ? whole("sliding_window", 1, 2 ** 27) : undefined;

/** For each layer whether it is a sliding one, by `layer_types`, or by `missing` if that is absent. */
export function slidingLayers(
  { json, has, fail }: Fields,
  layers: number,
  missing: (layer: number) => boolean,
): boolean[] {
  if (!has("layer_types")) return Array.from({ length: layers }, (_, layer) => missing(layer));
  const types = json.layer_types;
  const known = (type: unknown) => type === "full_attention" || type === "sliding_attention";
  if (!Array.isArray(types) || types.length !== layers || !types.every(known)) {
    fail("layer_types", `a list of ${layers}, each "full_attention" or "sliding_attention"`);
  }
  return (types as string[]).map((type) => type === "sliding_attention");
}
