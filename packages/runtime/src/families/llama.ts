import { decoderModel } from "./decoder-model.js";
import type { Family } from "./family.js";
import { llamaDecoder, llamaLayer } from "./llama-decoder.js";
import { checkActivation, oneRope, readConfig } from "./model-config.js";

/**
 * Llama 1 to 3.x (Touvron et al., 2023, arXiv 2302.13971 and 2307.09288), and models that keep its architecture, such
 * as SmolLM2.
 */
export const llama: Family = {
  architectures: ["LlamaForCausalLM"],
  gguf: {
    architecture: "llama",
    interleaved: true,
    // Mistral has the same name in GGUF.
    matches: ({ get }) => !get("attention.sliding_window"),
  },
  open(configuration, contextLength) {
    const config = readConfig(configuration, contextLength);
    const { fields, sizes } = config;
    checkActivation(fields, "hidden_act", "silu");
    const rope = oneRope(config, 10_000);
    const bias = fields.flag("attention_bias", false);
    const options = { rope, qkvBias: bias, outputBias: bias, feedForwardBias: fields.flag("mlp_bias", false) };
    return decoderModel(llamaDecoder(config, contextLength, (index) => llamaLayer(sizes, index, options)));
  },
};
