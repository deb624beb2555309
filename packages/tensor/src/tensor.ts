/** How several numbers become one. */
export type Reduction = "sum" | "mean" | "max" | "min";

/**
 * Numbers on the device, as a policy sees them: an expression, not values. There is no way to read one, so policy code
 * cannot wait for the device.
 *
 * Shapes are [heads, rows] or [heads, rows, size]; an axis may be 1. Axis 0 counts (sequence, head); axis 1 counts rows
 * of the cache up to a capacity that the host knows, of which the first `length` of each head are real: ops that
 * combine rows (`sum(1)`, pools, ...) use just those. Elementwise ops broadcast axes of 1. Everything is f32; masks are
 * 0 and 1. Every method throws a `ShapeError` that names both shapes where they do not fit.
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
  /** Where this mask is set, `yes`; elsewhere, `no`. */
  where(yes: Tensor | number, no: Tensor | number): Tensor;

  /** Over axis 1 (rows) or 2 (size), which stays with length 1. */
  sum(axis: 1 | 2): Tensor;
  mean(axis: 1 | 2): Tensor;
  max(axis: 1 | 2): Tensor;
  min(axis: 1 | 2): Tensor;
  /** Euclidean length over an axis, which stays with length 1. */
  norm(axis: 1 | 2): Tensor;
  /** [heads, rows, 1] as [heads, rows]. */
  squeeze(axis: 2): Tensor;
  /** [heads, rows] as [heads, rows, 1]. */
  unsqueeze(axis: 2): Tensor;

  /** [query heads, rows] to [KV heads, rows]: combines the query heads that share a KV head. */
  group(kind: Reduction): Tensor;
  /**
   * [heads, rows]: moving average over `kernel` (odd) neighbours in the order of the text; past the ends there are
   * zeros, and they count.
   */
  avgPool(kernel: number): Tensor;
  /** [heads, rows]: moving maximum over `kernel` (odd) neighbours in the order of the text. */
  maxPool(kernel: number): Tensor;
  /**
   * Pseudo-random numbers in [0, 1) that depend on the element's value (a position, say), its head and the seed: the
   * same on every backend.
   */
  hash(seed: number): Tensor;
}

/** Tensors whose shapes do not fit together, or an argument that a tensor method does not take. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}
