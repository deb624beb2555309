import type { Family } from "./family.js";
import { checkActivation, layersOf, oneRope, plainDecoder, readCommon, slidingWindow, usualLayer } from "./layers.js";
import { openDecoder } from "./open-decoder.js";

/**
 * Phi-3 and Phi-4-mini (arXiv 2404.14219, 2503.01743): Llama with queries, keys and values in one matrix, gate and up
 * in another; rotates a part of each head.
 */
export const phi3: Family = {
  architectures: ["Phi3ForCausalLM"],
  open(configuration, contextLength) {
    const opened = readCommon(configuration, contextLength);
    const { fields, sizes } = opened;
    checkActivation(fields, "hidden_act", "silu");
    const options = { rope: oneRope(opened, 10_000), window: slidingWindow(fields) };
    const layers = layersOf(sizes.layers, (index) => {
      const { qkv, gateUp, ...rest } = usualLayer(sizes, index, options);
      const joined = (name: string, { rows, ...part }: typeof qkv) => ({
        ...part,
        names: [`model.layers.${index}.${name}`],
        rows: [rows.reduce((a, b) => a + b, 0)],
      });
      return { ...rest, qkv: joined("self_attn.qkv_proj", qkv), gateUp: joined("mlp.gate_up_proj", gateUp) };
    });
    return openDecoder(plainDecoder(opened, layers, contextLength));
  },
};
