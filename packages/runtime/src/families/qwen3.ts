import { decoderModel } from "./decoder-model.js";
import type { Family } from "./family.js";
import { llamaDecoder, llamaLayer, withHeadNorms } from "./llama-decoder.js";
import { checkActivation, oneRope, readConfig } from "./model-config.js";
import { qwenWindows } from "./qwen2.js";

/** Qwen3 (arXiv 2505.09388): RMS norms over each head of queries and keys, no biases, an independent head size. */
export const qwen3: Family = {
  architectures: ["Qwen3ForCausalLM"],
  gguf: { architecture: "qwen3" },
  open(configuration, contextLength) {
    const config = readConfig(configuration, contextLength, { headSize: 128 });
    const { fields, sizes } = config;
    checkActivation(fields, "hidden_act", "silu");
    const bias = fields.flag("attention_bias", false);
    const rope = oneRope(config, 10_000);
    const windows = qwenWindows(config);
    const layer = (index: number) =>
      withHeadNorms(llamaLayer(sizes, index, { rope, window: windows[index], qkvBias: bias, outputBias: bias }), index);
    return decoderModel(llamaDecoder(config, contextLength, layer));
  },
};
