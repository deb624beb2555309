import type { Family } from "./family.js";
import { checkActivation, layersOf, oneRope, plainDecoder, readCommon, usualLayer, withHeadNorms } from "./layers.js";
import { openDecoder } from "./open-decoder.js";
import { qwenWindows } from "./qwen2.js";

/** Qwen3 (arXiv 2505.09388): RMS norms over each head of queries and keys, no biases, a head size of its own. */
export const qwen3: Family = {
  architectures: ["Qwen3ForCausalLM"],
  open(configuration, contextLength) {
    const opened = readCommon(configuration, contextLength, { headSize: 128 });
    const { fields, sizes } = opened;
    checkActivation(fields, "hidden_act", "silu");
    const bias = fields.flag("attention_bias", false);
    const rope = oneRope(opened, 10_000);
    const windows = qwenWindows(opened);
    const layers = layersOf(sizes.layers, (index) =>
      withHeadNorms(usualLayer(sizes, index, { rope, window: windows[index], qkvBias: bias, outputBias: bias }), index),
    );
    return openDecoder(plainDecoder(opened, layers, contextLength));
  },
};
