import { decoderModel } from "./decoder-model.js";
import type { Family } from "./family.js";
import { llamaDecoder, llamaLayer } from "./llama-decoder.js";
import { checkActivation, oneRope, readConfig, slidingWindow } from "./model-config.js";

/**
 * Mistral 7B and models of its architecture (Jiang et al., 2023, arXiv 2310.06825): Llama with a sliding window in
 * every layer, if the configuration has one.
 */
export const mistral: Family = {
  architectures: ["MistralForCausalLM"],
  gguf: {
    architecture: "llama",
    interleaved: true,
    matches: ({ get }) => Boolean(get("attention.sliding_window")),
  },
  open(configuration, contextLength) {
    const config = readConfig(configuration, contextLength);
    const { fields, sizes } = config;
    checkActivation(fields, "hidden_act", "silu");
    const options = { rope: oneRope(config, 10_000), window: slidingWindow(fields) };
    return decoderModel(llamaDecoder(config, contextLength, (index) => llamaLayer(sizes, index, options)));
  },
};
