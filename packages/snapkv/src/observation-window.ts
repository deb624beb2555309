import { groupReductions, type OptionsOf, oneOf, options, type Scorer, whole } from "@ziggurat/policy";

/** The options of {@link observationWindow}, declared. */
export const observationWindowOptions = options("observationWindow", {
  /** Newest queries that vote, whose own rows stay: `window_size`. Default 32. */
  window: whole({ min: 1, default: 32, doc: "newest queries that vote, whose own rows stay" }),
  /** Neighbouring rows over which votes are pooled: `kernel_size`. Odd; 1 is no pooling. Default 7. */
  kernel: whole({ min: 1, odd: true, default: 7, doc: "neighbouring rows over which votes are pooled" }),
  /** How votes are pooled: past the ends "average" counts zeros and "max" nothing. Default "max". */
  pooling: oneOf(["average", "max"], { default: "max", doc: "how votes are pooled" }),
  /** How the query heads of a KV head become one score, before pooling. Default "mean". */
  reduce: oneOf(groupReductions, { default: "mean", doc: "how the query heads of a KV head become one score" }),
});

export type ObservationWindowOptions = OptionsOf<typeof observationWindowOptions>;

/**
 * Scores a row by what the newest `window` queries looked at, pooled over its neighbours so that what belongs together
 * stays together. Rows of the window itself take no part in the pooling, as published: next to it, "average" sees zeros
 * and "max" nothing. They have no score either, so protect them, as `last(window)` does.
 *
 * Li et al., 2024, https://arxiv.org/abs/2404.14469. Throws a PolicyError for options out of range.
 */
export function observationWindow(options: ObservationWindowOptions = {}): Scorer {
  const { window, kernel, pooling, reduce } = observationWindowOptions.read(options);
  return {
    watch: window,
    score: ({ mass, age }) => {
      const votes = mass.group(reduce);
      const inside = age.lt(window);
      return pooling === "average"
        ? inside.where(0, votes).avgPool(kernel)
        : inside.where(Number.NEGATIVE_INFINITY, votes).maxPool(kernel);
    },
  };
}
