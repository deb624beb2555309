import { ConfigError } from "../error.js";
import type { Configuration } from "../files/checkpoint.js";
import type { GenerationConfig, Sizes } from "../files/config.js";
import { parseGeneration, readSizes } from "../files/config.js";
import { type Fields, fieldsOf } from "../files/fields.js";
import type { Decoder, DecoderLayer, Projection } from "./decoder.js";
import type { Rope } from "./family.js";
import { readRope } from "./rope.js";

// Pieces that families put their decoders together from.

/**
 * A configuration's fields, the sizes in them, and how many tokens will be read at the most. Throws a {@link
 * ConfigError}.
 */
export interface Opened {
  readonly fields: Fields;
  readonly sizes: Sizes;
  readonly generation: GenerationConfig;
  /** What the caller said, if that is less than the model can; otherwise `max_position_embeddings`. */
  readonly longest: number;
}

export function readCommon(
  { json, file, generation, generationFile }: Configuration,
  contextLength?: number,
  missing?: { headSize?: number },
): Opened {
  const fields = fieldsOf(json, file);
  const sizes = readSizes(fields, missing);
  return {
    fields,
    sizes,
    generation: parseGeneration(generation, json, sizes.vocabularySize, generationFile),
    longest: Math.min(sizes.contextLength, contextLength ?? sizes.contextLength),
  };
}

/** One rotary embedding for all layers. */
export const oneRope = ({ fields, sizes: { headSize, contextLength }, longest }: Opened, theta: number): Rope =>
  readRope(fields, { headSize, contextLength, longest }, { theta });

/** Throws a {@link ConfigError} where the activation of the feed-forward is another than `name`. */
export function checkActivation({ json, fail }: Fields, field: string, name: string): void {
  if ((json[field] ?? name) !== name) fail(field, `"${name}"`);
}

/** `sliding_window`, where there is one. */
export const slidingWindow = ({ has, whole }: Fields): number | undefined =>
  has("sliding_window") ? whole("sliding_window", 1, 2 ** 27) : undefined;

/**
 * For each layer whether it is a sliding one: `layer_types`, or what `missing` says of a layer where that is absent.
 */
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

/**
 * What most families have: nothing scaled, capped or offset, logits by 1 / sqrt(head size). The context is the caller's
 * bound, or what the rotary scaling allows.
 */
export function plainDecoder(
  { fields, sizes, generation }: Opened,
  layerList: readonly DecoderLayer[],
  contextLength: number | undefined,
): Decoder {
  const allowed = Math.max(sizes.contextLength, ...layerList.map(({ rope }) => rope.contextLength ?? 0));
  if (contextLength !== undefined && contextLength > allowed) {
    throw new ConfigError(`${fields.file}: the model reads ${allowed} tokens; contextLength is ${contextLength}`);
  }
  return {
    ...sizes,
    architecture: (fields.json.architectures as string[])[0]!,
    contextLength: contextLength ?? allowed,
    generation,
    layerList,
    activation: "silu",
    tiedEmbeddings: fields.flag("tie_word_embeddings", false),
    attentionScale: 1 / Math.sqrt(sizes.headSize),
    attentionSoftcap: 0,
    logitSoftcap: 0,
    embeddingScale: 1,
    normOffset: 0,
  };
}

export interface LayerOptions {
  readonly rope: Rope;
  readonly window?: number | undefined;
  readonly qkvBias?: boolean;
  readonly outputBias?: boolean;
  readonly feedForwardBias?: boolean;
}

/** A layer under the names that transformers gives to Llama's weights, which most families keep. */
export function usualLayer(
  sizes: Sizes,
  index: number,
  { rope, window, qkvBias = false, outputBias = false, feedForwardBias = false }: LayerOptions,
): DecoderLayer {
  const { hiddenSize, intermediateSize, queryHeads, kvHeads, headSize } = sizes;
  const at = (name: string) => `model.layers.${index}.${name}`;
  const projection = (names: readonly string[], rows: readonly number[], width: number, bias: boolean): Projection => ({
    names: names.map(at),
    rows,
    width,
    bias,
  });
  return {
    window,
    rope,
    attentionNorm: at("input_layernorm"),
    qkv: projection(
      ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
      [queryHeads * headSize, kvHeads * headSize, kvHeads * headSize],
      hiddenSize,
      qkvBias,
    ),
    output: projection(["self_attn.o_proj"], [hiddenSize], queryHeads * headSize, outputBias),
    feedForwardNorm: at("post_attention_layernorm"),
    gateUp: projection(
      ["mlp.gate_proj", "mlp.up_proj"],
      [intermediateSize, intermediateSize],
      hiddenSize,
      feedForwardBias,
    ),
    down: projection(["mlp.down_proj"], [hiddenSize], intermediateSize, feedForwardBias),
  };
}

/** Layers 0 to `count` - 1. */
export const layersOf = (count: number, make: (index: number) => DecoderLayer): DecoderLayer[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Norms over each head of queries and keys. */
export const withHeadNorms = (layer: DecoderLayer, index: number): DecoderLayer => ({
  ...layer,
  headNorms: { query: `model.layers.${index}.self_attn.q_norm`, key: `model.layers.${index}.self_attn.k_norm` },
});
