import type { MetadataValue } from "./header.js";

// Names and conventions of GGUF's tensors, as llama.cpp's conversion script (convert_hf_to_gguf.py, gguf-py's
// constants.py) writes them, in terms of transformers'.

/** Facts of a GGUF file, unchecked, from which a family completes its configuration. */
export interface GgufFacts {
  /** The metadata under the architecture's name: `get("context_length")` is that of `llama.context_length`. */
  get(key: string): MetadataValue | undefined;
  readonly layers: unknown;
  readonly hiddenSize: unknown;
  readonly queryHeads: unknown;
  readonly headSize: number;
}

/** How GGUF files store the models of a family, as differences from Llama. */
export interface GgufForm {
  /** `general.architecture`. */
  readonly architecture: string;
  /** Tells the family's files apart, if several families share the architecture's name. */
  readonly matches?: (facts: GgufFacts) => boolean;
  /** Fields of config.json that the metadata hold in another way, or leave to the reader. */
  readonly config?: (facts: GgufFacts) => Readonly<Record<string, unknown>>;
  /** Names of a layer's tensors by transformers' names, in addition to Llama's and in their place. */
  readonly tensors?: Readonly<Record<string, string>>;
  /**
   * Rows of query and key matrices are stored in pairs that rotate together, (0, half), (1, half + 1) and so on,
   * instead of first and second halves.
   */
  readonly interleaved?: boolean;
  /** Norms are stored with this added. */
  readonly normOffset?: number;
}

/** The part of a model family that GGUF files are read with. */
export interface GgufFamily {
  readonly architectures: readonly string[];
  readonly gguf?: GgufForm;
}

const whole: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
};

const layerTensors: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

/** The name in GGUF of a tensor that transformers calls `name`; undefined if it has none. */
export function ggufName(name: string, { tensors = {} }: GgufForm): string | undefined {
  const found = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name);
  if (!found) return undefined;
  const [, layer, part, kind] = found;
  const named = [layer === undefined ? whole : tensors, layer === undefined ? {} : layerTensors].find((names) =>
    Object.hasOwn(names, part!),
  )?.[part!];
  if (named === undefined) return undefined;
  return layer === undefined ? `${named}.${kind}` : `blk.${layer}.${named}.${kind}`;
}

export const isNorm = (name: string): boolean => /norm\.weight$/.test(name);
export const isQuery = (name: string): boolean => /\.q_proj\.(weight|bias)$/.test(name);
export const isKey = (name: string): boolean => /\.k_proj\.(weight|bias)$/.test(name);
