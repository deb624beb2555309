import { decoderModel } from "./decoder-model.js";
import type { Family } from "./family.js";
import { llamaDecoder, llamaLayer, withHeadNorms } from "./llama-decoder.js";
import { checkActivation, readConfig, slidingLayers } from "./model-config.js";
import { readRope } from "./rope.js";

/**
 * Gemma 3, text (arXiv 2503.19786): five sliding layers to a global one, which rotate differently; norms of weight 1 +
 * w before and after each part and over heads of queries and keys; embeddings times sqrt(hidden size).
 */
export const gemma3: Family = {
  architectures: ["Gemma3ForCausalLM"],
  gguf: {
    architecture: "gemma3",
    normOffset: 1,
    tensors: {
      post_attention_layernorm: "post_attention_norm",
      pre_feedforward_layernorm: "ffn_norm",
      post_feedforward_layernorm: "post_ffw_norm",
    },
    // What the metadata leave to the reader is as in llama.cpp (llama-model.cpp): one global layer in six, the local
    // theta, and the 27B model's scale.
    config: ({ get, layers, hiddenSize, queryHeads, headSize }) => ({
      hidden_activation: "gelu_pytorch_tanh",
      sliding_window_pattern: get("attention.sliding_window_pattern") ?? 6,
      rope_local_base_freq: get("rope.freq_base_swa") ?? 10_000,
      query_pre_attn_scalar: layers === 62 ? Number(hiddenSize) / Number(queryHeads) : headSize,
      rope_theta: get("rope.freq_base") ?? 1_000_000,
    }),
  },
  open(configuration, contextLength) {
    const config = readConfig(configuration, contextLength, { headSize: 256 });
    const { fields, sizes, longest } = config;
    checkActivation(fields, "hidden_activation", "gelu_pytorch_tanh");
    if (fields.flag("use_bidirectional_attention", false))
      fields.fail("use_bidirectional_attention", "false: only causal attention is computed");
    const bias = fields.flag("attention_bias", false);
    const window = fields.whole("sliding_window", 1, 2 ** 27, 4096);
    const pattern = fields.whole("sliding_window_pattern", 1, 2 ** 10, 6);
    const sliding = slidingLayers(fields, sizes.layers, (layer) => (layer + 1) % pattern !== 0);
    const context = { ...sizes, longest };
    const local = readRope(fields, context, {
      theta: 10_000,
      thetaField: "rope_local_base_freq",
      layerType: "sliding_attention",
      scaled: false,
    });
    const global = readRope(fields, context, { theta: 1_000_000, layerType: "full_attention" });
    const layer = (index: number) => {
      const place = sliding[index] ? { rope: local, window } : { rope: global };
      const at = (name: string) => `model.layers.${index}.${name}`;
      return {
        ...withHeadNorms(llamaLayer(sizes, index, { ...place, qkvBias: bias, outputBias: bias }), index),
        attentionEndNorm: at("post_attention_layernorm"),
        feedForwardNorm: at("pre_feedforward_layernorm"),
        feedForwardEndNorm: at("post_feedforward_layernorm"),
      };
    };
    const cap = (field: string) => (fields.has(field) ? fields.number(field, 1e-3, 1e6) : 0);
    return decoderModel({
      ...llamaDecoder(config, contextLength, layer),
      activation: "gelu",
      tiedEmbeddings: fields.flag("tie_word_embeddings", true),
      attentionScale: 1 / Math.sqrt(fields.number("query_pre_attn_scalar", 1e-3, 1e6, 256)),
      attentionSoftcap: cap("attn_logit_softcapping"),
      logitSoftcap: cap("final_logit_softcapping"),
      embeddingScale: Math.sqrt(sizes.hiddenSize),
      normOffset: 1,
    });
  },
};
