// Names and conventions of GGUF's tensors, as llama.cpp's conversion script (convert_hf_to_gguf.py, gguf-py's
// constants.py) writes them, in terms of transformers'.

/** Architectures by their name in GGUF. */
export const architectures = {
  llama: { family: "LlamaForCausalLM", interleaved: true },
  qwen2: { family: "Qwen2ForCausalLM" },
  qwen3: { family: "Qwen3ForCausalLM" },
  gemma3: { family: "Gemma3ForCausalLM", normOffset: 1 },
  phi3: { family: "Phi3ForCausalLM" },
} as const satisfies Record<string, GgufArchitecture>;

export interface GgufArchitecture {
  readonly family: string;
  /**
   * Rows of query and key matrices lie in pairs that rotate together, (0, half), (1, half + 1) and so on, instead of
   * first and second halves.
   */
  readonly interleaved?: true;
  /** Norms are stored with this added. */
  readonly normOffset?: number;
}

const whole: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
};

const parts: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.qkv_proj": "attn_qkv",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.gate_up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};
/** Gemma 3 has a norm after each part as well. */
const gemmaParts: Readonly<Record<string, string>> = {
  ...parts,
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm",
};

/** The name in GGUF of a tensor that transformers calls `name`; undefined where there is none. */
export function ggufName(name: string, architecture: string): string | undefined {
  const found = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name);
  if (!found) return undefined;
  const [, layer, part, kind] = found;
  if (layer === undefined) return Object.hasOwn(whole, part!) ? `${whole[part!]}.${kind}` : undefined;
  const names = architecture === "gemma3" ? gemmaParts : parts;
  return Object.hasOwn(names, part!) ? `blk.${layer}.${names[part!]}.${kind}` : undefined;
}

export const isNorm = (name: string): boolean => /norm\.weight$/.test(name);
export const isQuery = (name: string): boolean => /\.q_proj\.(weight|bias)$/.test(name);
export const isKey = (name: string): boolean => /\.k_proj\.(weight|bias)$/.test(name);
