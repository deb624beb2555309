/** How several numbers become one. */
export type Reduction = "sum" | "mean" | "max" | "min";

/** An axis that a tensor can be reduced over. */
export type Axis = "rows" | "size" | "queries";

/**
 * Numbers on the device, as a policy sees them: an expression, not values. There is no way to read one, so policy code
 * cannot wait for the device.
 *
 * Shapes are [heads, rows], [heads, rows, size] or [heads, rows, queries]. Axis "heads" counts (sequence, head). Axis
 * "rows" counts rows of the cache up to a capacity that the host knows; the first `length` of each head are real, and
 * ops that combine rows (`sum("rows")`, pools) use those alone. Axis "size" counts the numbers of a key or value, axis
 * "queries" the watched queries, oldest first. Any axis may have length 1.
 *
 * Elementwise ops broadcast axes of length 1, and [heads, rows] against [heads, rows, size]. Everything is f32; masks
 * are 0 and 1. Every method throws a {@link ShapeError} that names the shapes if they do not fit.
 */
export interface Tensor {
  readonly shape: readonly number[];

  add(other: Tensor | number): Tensor;
  sub(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  div(other: Tensor | number): Tensor;
  maximum(other: Tensor | number): Tensor;
  minimum(other: Tensor | number): Tensor;
  neg(): Tensor;
  abs(): Tensor;
  exp(): Tensor;
  log(): Tensor;
  sqrt(): Tensor;

  lt(other: Tensor | number): Tensor;
  le(other: Tensor | number): Tensor;
  gt(other: Tensor | number): Tensor;
  ge(other: Tensor | number): Tensor;
  eq(other: Tensor | number): Tensor;
  and(other: Tensor): Tensor;
  or(other: Tensor): Tensor;
  not(): Tensor;
  /** `yes` where this mask is set, `no` elsewhere. */
  where(yes: Tensor | number, no: Tensor | number): Tensor;

  /**
   * Over "rows", an axis of length 1 stays: [heads, 1] or [heads, 1, size]. Over "size" and "queries", the axis goes:
   * [heads, rows].
   */
  sum(axis: Axis): Tensor;
  mean(axis: Axis): Tensor;
  max(axis: Axis): Tensor;
  min(axis: Axis): Tensor;
  /** Euclidean norm over an axis. */
  norm(axis: Axis): Tensor;

  /** [query heads, rows] to [KV heads, rows]: combines the query heads that share a KV head. */
  group(kind: Reduction): Tensor;
  /**
   * [KV heads, rows] or [KV heads, rows, size] to query heads: every query head gets the numbers of its KV head.
   */
  ungroup(): Tensor;
  /**
   * [heads, rows] or [query heads, rows] to [KV heads, rows]: combines all heads of a sequence; each of its KV heads
   * gets the result. Row j of every head must be the same token, as at the end of a message before anything is evicted.
   */
  acrossHeads(kind: Reduction): Tensor;
  /**
   * [heads, rows, ...]: moving average over `kernel` (odd) neighbours in text order. Past the ends are zeros, which
   * count.
   */
  avgPool(kernel: number): Tensor;
  /** [heads, rows, ...]: moving maximum over `kernel` (odd) neighbours in text order. */
  maxPool(kernel: number): Tensor;
  /**
   * Pseudo-random numbers in [0, 1), the same on every backend: a function of the element's value (a position, for
   * example), its head and the seed.
   */
  hash(seed: number): Tensor;
}

/** Tensors whose shapes do not fit together, or an argument that a tensor method does not take. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}
