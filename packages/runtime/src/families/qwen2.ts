import { decoderModel } from "./decoder-model.js";
import type { Family } from "./family.js";
import { llamaDecoder, llamaLayer } from "./llama-decoder.js";
import {
  checkActivation,
  type ModelConfig,
  oneRope,
  readConfig,
  slidingLayers,
  slidingWindow,
} from "./model-config.js";

/** The window of each layer: with `use_sliding_window`, layers from `max_window_layers` on are sliding. */
export function qwenWindows({ fields, sizes }: ModelConfig): (number | undefined)[] {
  const window = fields.flag("use_sliding_window", false) ? slidingWindow(fields) : undefined;
  const first = fields.whole("max_window_layers", 0, 2 ** 20, 28);
  const sliding = slidingLayers(fields, sizes.layers, (layer) => window !== undefined && layer >= first);
  if (window === undefined && sliding.includes(true))
    fields.fail("sliding_window", "a whole number, with use_sliding_window, since layer_types has sliding layers");
  return sliding.map((slides) => (slides ? window : undefined));
}

/** Qwen2 and Qwen2.5 (arXiv 2407.10671, 2412.15115): Llama with biases in queries, keys and values. */
export const qwen2: Family = {
  architectures: ["Qwen2ForCausalLM"],
  gguf: { architecture: "qwen2" },
  open(configuration, contextLength) {
    const config = readConfig(configuration, contextLength);
    const { fields, sizes } = config;
    checkActivation(fields, "hidden_act", "silu");
    const rope = oneRope(config, 10_000);
    const windows = qwenWindows(config);
    return decoderModel(
      llamaDecoder(config, contextLength, (index) =>
        llamaLayer(sizes, index, { rope, window: windows[index], qkvBias: true }),
      ),
    );
  },
};
