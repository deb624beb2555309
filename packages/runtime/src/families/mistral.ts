import type { Family } from "./family.js";
import { checkActivation, layersOf, oneRope, plainDecoder, readCommon, slidingWindow, usualLayer } from "./layers.js";
import { openDecoder } from "./open-decoder.js";

/**
 * Mistral 7B and its kin (Jiang et al., 2023, arXiv 2310.06825): Llama with a sliding window in every layer, where the
 * configuration says one.
 */
export const mistral: Family = {
  architectures: ["MistralForCausalLM"],
  open(configuration, contextLength) {
    const opened = readCommon(configuration, contextLength);
    const { fields, sizes } = opened;
    checkActivation(fields, "hidden_act", "silu");
    const options = { rope: oneRope(opened, 10_000), window: slidingWindow(fields) };
    const layers = layersOf(sizes.layers, (index) => usualLayer(sizes, index, options));
    return openDecoder(plainDecoder(opened, layers, contextLength));
  },
};
