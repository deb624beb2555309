import { type OptionsOf, oneOf, options, real, type Scorer, whole } from "@ziggurat/policy";
import type { Tensor } from "@ziggurat/tensor";

/** The options of {@link outputChange}, declared. */
export const outputChangeOptions = options("outputChange", {
  /** Newest queries whose attention is averaged, and whose own rows stay. Default 32. */
  window: whole({ min: 1, max: 1024, default: 32, doc: "newest queries whose attention is averaged" }),
  /** Neighbouring rows over which scores are averaged. Odd; 1 is no averaging. Default 5. */
  kernel: whole({ min: 1, odd: true, default: 5, doc: "neighbouring rows over which scores are averaged" }),
  /** How the window's attention is averaged: "moving" lets older queries count less, "mean" does not. */
  average: oneOf(["moving", "mean"], { default: "moving", doc: "how the window's attention is averaged" }),
  /** Weight of the newest query in the moving average, from 0 to 1. Default 0.3, as published. */
  alpha: real({ min: 0, max: 1, default: 0.3, doc: "weight of the newest query in the moving average" }),
});

export type OutputChangeOptions = OptionsOf<typeof outputChangeOptions>;

/**
 * The exponential moving average over the watched queries. The oldest starts it, and so has all weight that is left.
 */
function moving(observed: Tensor, queryAge: Tensor, alpha: number): Tensor {
  // With alpha 1 all weight is the newest query's: its age 0 must not meet an infinite logarithm.
  const left = queryAge.mul(Math.log(Math.max(1 - alpha, 1e-30))).exp();
  const weights = queryAge.lt(queryAge.max("queries")).where(left.mul(alpha), left);
  return observed.mul(weights).sum("queries");
}

/**
 * Scores a row by how much a layer's output changes if the row is lost and its attention goes to the others in
 * proportion: a / (1 - a) x ||W (o - v)||, where a is the row's attention averaged over the window with weights that
 * fall by 1 - alpha a query, o the head's output from the rows before the window, v the row's value, and W the output
 * projection. Scores are averaged over neighbours, then over the query heads of a KV head.
 *
 * An et al., 2026, https://arxiv.org/abs/2605.08840; the authors' code is an-yongqi/rest-kv at a8bb112,
 * `RestKVCluster.update_kv`. Throws a PolicyError for options out of range.
 */
export function outputChange(given: OutputChangeOptions = {}): Scorer {
  const { window, kernel, average, alpha } = outputChangeOptions.read(given);
  return {
    watchEach: window,
    score: ({ observed, queryAge, age, values, through }) => {
      const context = age.ge(window);
      const averaged = average === "mean" ? observed.mean("queries") : moving(observed, queryAge, alpha);
      const attention = averaged.mul(context.ungroup());
      const rows = values.ungroup();
      const output = rows.mul(attention).sum("rows");
      const lost = attention.div(attention.neg().add(1).maximum(1e-6));
      return lost
        .mul(through(output.sub(rows)))
        .avgPool(kernel)
        .group("mean");
    },
  };
}
