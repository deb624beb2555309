import type { GenerationConfig, Sizes } from "../files/config.js";
import type { Rope } from "./family.js";

// The decoder of all families here: a stack of layers, each of attention and a gated feed-forward behind RMS norms,
// added to a stream of hidden states. A family describes its models in these terms.

/** A matrix, stored whole or as parts to be stacked. Names are without `.weight` and `.bias`. */
export interface Projection {
  readonly names: readonly string[];
  /** Rows of each part. */
  readonly rows: readonly number[];
  readonly width: number;
  readonly bias: boolean;
}

/** Names of norms are without `.weight`. */
export interface DecoderLayer {
  /** Tokens that a query sees, itself included; undefined for all. */
  readonly window: number | undefined;
  readonly rope: Rope;
  readonly attentionNorm: string;
  /** Queries, keys, values. */
  readonly qkv: Projection;
  /** Norms over each head of queries and of keys, before they are rotated. */
  readonly headNorms?: { readonly query: string; readonly key: string };
  readonly output: Projection;
  /** A norm of the output of attention, before it is added to the stream. */
  readonly attentionEndNorm?: string;
  readonly feedForwardNorm: string;
  /** The gate, which is activated, and the factor that it is multiplied with. */
  readonly gateUp: Projection;
  readonly down: Projection;
  readonly feedForwardEndNorm?: string;
}

export interface Decoder extends Sizes {
  readonly architecture: string;
  readonly generation: GenerationConfig;
  readonly layerList: readonly DecoderLayer[];
  readonly activation: "silu" | "gelu";
  /** The output matrix is the embedding. */
  readonly tiedEmbeddings: boolean;
  /** Attention logits are scale x q.k. */
  readonly attentionScale: number;
  /** See `CacheShape`; 0 for none. */
  readonly attentionSoftcap: number;
  /** Logits become softcap x tanh(logits / softcap); 0 for none. */
  readonly logitSoftcap: number;
  /** The factor of embeddings. */
  readonly embeddingScale: number;
  /** Added to the weights of every norm. */
  readonly normOffset: 0 | 1;
}
