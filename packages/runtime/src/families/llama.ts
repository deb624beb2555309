import type { Family } from "./family.js";
import { checkActivation, layersOf, oneRope, plainDecoder, readCommon, usualLayer } from "./layers.js";
import { openDecoder } from "./open-decoder.js";

/**
 * Llama 1 to 3.x (Touvron et al., 2023, arXiv 2302.13971 and 2307.09288) and what keeps its architecture, such as
 * SmolLM2.
 */
export const llama: Family = {
  architectures: ["LlamaForCausalLM"],
  open(configuration, contextLength) {
    const opened = readCommon(configuration, contextLength);
    const { fields, sizes } = opened;
    checkActivation(fields, "hidden_act", "silu");
    const rope = oneRope(opened, 10_000);
    const bias = fields.flag("attention_bias", false);
    const options = { rope, qkvBias: bias, outputBias: bias, feedForwardBias: fields.flag("mlp_bias", false) };
    const layers = layersOf(sizes.layers, (index) => usualLayer(sizes, index, options));
    return openDecoder(plainDecoder(opened, layers, contextLength));
  },
};
