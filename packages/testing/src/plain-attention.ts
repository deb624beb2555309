import type { RawLayer } from "./run-policy.js";

// Attention in float64 over rows that are given one by one: what the cache must compute whatever it did to its rows.

export interface AttentionShape {
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly ropeTheta: number;
}

/** One token of raw tensors. */
export interface PlainToken {
  readonly raw: RawLayer;
  /** Which of the `tokens` in `raw`. */
  readonly token: number;
  readonly tokens: number;
}

/** A token and the position that its query or key is rotated to. */
export interface PlainRow extends PlainToken {
  readonly position: number;
}

/** A token's numbers of one head. */
export const headOf = (
  part: "q" | "k" | "v",
  { raw, token, tokens }: PlainToken,
  head: number,
  size: number,
): Float32Array => raw[part].subarray((head * tokens + token) * size, (head * tokens + token + 1) * size);

/**
 * Rotary embedding: pairs (x[j], x[j + half]) turned by position x theta^(-j / half) (Su et al., 2021, arXiv
 * 2104.09864).
 */
export function rotated(x: Float32Array, position: number, theta: number): Float64Array {
  const half = x.length / 2;
  return Float64Array.from(x, (value, i) => {
    const angle = position * theta ** (-(i % half) / half);
    const partner = i < half ? -x[i + half]! : x[i - half]!;
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

/** Softmax of one query head's logits over the rows of its KV head. */
export function attentionShares(
  { headSize, ropeTheta, queryHeads, kvHeads }: AttentionShape,
  head: number,
  query: PlainRow,
  rows: readonly PlainRow[],
): number[] {
  const kv = Math.floor(head / (queryHeads / kvHeads));
  const q = rotated(headOf("q", query, head, headSize), query.position, ropeTheta);
  const logits = rows.map((row) => {
    const k = rotated(headOf("k", row, kv, headSize), row.position, ropeTheta);
    return q.reduce((sum, value, d) => sum + value * k[d]!, 0) / Math.sqrt(headSize);
  });
  const greatest = Math.max(...logits);
  const shares = logits.map((logit) => Math.exp(logit - greatest));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / sum);
}
