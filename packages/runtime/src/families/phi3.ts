import { decoderModel } from "./decoder-model.js";
import type { Family } from "./family.js";
import { llamaDecoder, llamaLayer } from "./llama-decoder.js";
import { checkActivation, oneRope, readConfig, slidingWindow } from "./model-config.js";

/**
 * Phi-3 and Phi-4-mini (arXiv 2404.14219, 2503.01743): Llama with queries, keys and values in one matrix, gate and up
 * in another. Rotates a part of each head.
 */
export const phi3: Family = {
  architectures: ["Phi3ForCausalLM"],
  gguf: {
    architecture: "phi3",
    tensors: { "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up" },
    config: ({ get }) => ({ original_max_position_embeddings: get("rope.scaling.original_context_length") }),
  },
  open(configuration, contextLength) {
    const config = readConfig(configuration, contextLength);
    const { fields, sizes } = config;
    checkActivation(fields, "hidden_act", "silu");
    const options = { rope: oneRope(config, 10_000), window: slidingWindow(fields) };
    const layer = (index: number) => {
      const { qkv, gateUp, ...rest } = llamaLayer(sizes, index, options);
      const joined = (name: string, { rows, ...part }: typeof qkv) => ({
        ...part,
        names: [`model.layers.${index}.${name}`],
        rows: [rows.reduce((a, b) => a + b, 0)],
      });
      return { ...rest, qkv: joined("self_attn.qkv_proj", qkv), gateUp: joined("mlp.gate_up_proj", gateUp) };
    };
    return decoderModel(llamaDecoder(config, contextLength, layer));
  },
};
