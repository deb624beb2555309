import { ConfigError } from "../error.js";
import type { Sizes } from "../files/config.js";
import type { Decoder, DecoderLayer, Projection } from "./decoder.js";
import type { Rope } from "./family.js";
import type { ModelConfig } from "./model-config.js";

// Llama's decoder and its layers, which the other families change in places.

export interface LayerOptions {
  readonly rope: Rope;
  readonly window?: number | undefined;
  readonly qkvBias?: boolean;
  readonly outputBias?: boolean;
  readonly feedForwardBias?: boolean;
}

/** A layer under the names that transformers gives to Llama's weights. */
export function llamaLayer(
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

/** The same layer with norms over each head of queries and keys. */
export const withHeadNorms = (layer: DecoderLayer, index: number): DecoderLayer => ({
  ...layer,
  headNorms: { query: `model.layers.${index}.self_attn.q_norm`, key: `model.layers.${index}.self_attn.k_norm` },
});

/**
 * Llama's decoder over layers that `layer` makes, by index: nothing is scaled, capped or offset, attention logits are
 * divided by sqrt(head size). Its context is `contextLength`, by default what the configuration and the rotary scaling
 * allow. Throws a `ConfigError` for a longer one.
 */
export function llamaDecoder(
  { fields, sizes, generation }: ModelConfig,
  contextLength: number | undefined,
  layer: (index: number) => DecoderLayer,
): Decoder {
  const layers = Array.from({ length: sizes.layers }, (_, index) => layer(index));
  const allowed = layers.reduce((most, { rope }) => Math.max(most, rope.contextLength ?? 0), sizes.contextLength);
  if (contextLength !== undefined && contextLength > allowed) {
    throw new ConfigError(`${fields.file}: the model reads ${allowed} tokens; contextLength is ${contextLength}`);
  }
  return {
    ...sizes,
    architecture: (fields.json.architectures as string[])[0]!,
    contextLength: contextLength ?? allowed,
    generation,
    layerList: layers,
    activation: "silu",
    tiedEmbeddings: fields.flag("tie_word_embeddings", false),
    attentionScale: 1 / Math.sqrt(sizes.headSize),
    attentionSoftcap: 0,
    logitSoftcap: 0,
    embeddingScale: 1,
    normOffset: 0,
  };
}
