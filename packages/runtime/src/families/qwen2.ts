import type { Family } from "./family.js";
import {
  checkActivation,
  layersOf,
  type Opened,
  oneRope,
  plainDecoder,
  readCommon,
  slidingLayers,
  slidingWindow,
  usualLayer,
} from "./layers.js";
import { openDecoder } from "./open-decoder.js";

/** The window of each layer: where `use_sliding_window` says so, layers from `max_window_layers` on are sliding. */
export function qwenWindows({ fields, sizes }: Opened): (number | undefined)[] {
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
  open(configuration, contextLength) {
    const opened = readCommon(configuration, contextLength);
    const { fields, sizes } = opened;
    checkActivation(fields, "hidden_act", "silu");
    const rope = oneRope(opened, 10_000);
    const windows = qwenWindows(opened);
    const layers = layersOf(sizes.layers, (index) =>
      usualLayer(sizes, index, { rope, window: windows[index], qkvBias: true }),
    );
    return openDecoder(plainDecoder(opened, layers, contextLength));
  },
};
