import type { Policy } from "@ziggurat/policy";
import { elementBytes, type RowDType, type Slice } from "@ziggurat/tensor";

/** How far back one layer's queries see. */
export type CacheLayer =
  /** The whole text. Policies rule these layers. */
  | { readonly kind: "global" }
  /** The query's own token and the `window` - 1 tokens before it. These layers always keep their newest rows. */
  | { readonly kind: "sliding"; readonly window: number };

/** A model's attention, as far as the cache is concerned. Head counts and sizes are the same in every layer. */
export interface CacheShape {
  readonly layers: readonly CacheLayer[];
  readonly queryHeads: number;
  readonly kvHeads: number;
  /** Numbers in one key. */
  readonly headSize: number;
  /** Logits are scale x q.k; usually 1 / sqrt(headSize). */
  readonly scale: number;
  /** Logits become softcap x tanh(logits / softcap); 0 for none. */
  readonly softcap: number;
}

/**
 * Cosines and sines by position, f32 [rows, rotary]: row p holds those of position p's rotary / 2 angles, cosines
 * first.
 */
export interface RopeTable {
  readonly slice: Slice;
  readonly rows: number;
  readonly rotary: number;
}

/**
 * Gives a layer's Gram matrices of the output projection, f32 [query heads, size, size]: W^T W, where W is the part
 * that reads a query head's output. Asked for only if a policy uses `through`.
 */
export type GramOf = (layer: number) => Promise<Slice>;

/** Returns the table that a layer rotates with; undefined if the layer does not rotate. */
export type RopeOf = (layer: number) => RopeTable | undefined;

/**
 * Planes of 4-byte cells beside K and V: the position, then the rank if a policy counts positions by slot, then the
 * scorer's columns.
 */
export function planesOf(policies: readonly Policy[]): {
  readonly ranks: boolean;
  readonly planes: number;
  readonly firstColumn: number;
} {
  const ranks = policies.some((policy) => policy.positions === "slot");
  const columns = Math.max(0, ...policies.map((policy) => policy.score.columns?.length ?? 0));
  const firstColumn = ranks ? 2 : 1;
  return { ranks, planes: firstColumn + columns, firstColumn };
}

/** Bytes that one row of one KV head takes: K, V and its cells. */
export const rowBytes = (headSize: number, dtype: RowDType, planes: number): number =>
  2 * headSize * elementBytes[dtype] + 4 * planes;

/** A request that the cache cannot serve. The message names the place, the numbers and what would be right. */
export class CacheError extends Error {
  override readonly name = "CacheError";
}
