import {
  checkOneOf,
  checkOptions,
  checkWhole,
  type GroupReduction,
  groupReductions,
  refuse,
  type Scorer,
} from "@ziggurat/policy";

const poolings = ["average", "max"] as const;

export interface ObservationWindowOptions {
  /** How many of the newest queries vote, `window_size`; their own rows always stay. Whole, at least 1. Default 32. */
  readonly window?: number;
  /** Over how many neighbours votes are pooled, `kernel_size`. Odd, at least 1, which is no pooling. Default 7. */
  readonly kernel?: number;
  /** How they are pooled: past the ends "average" counts zeros and "max" nothing. Default "max". */
  readonly pooling?: "average" | "max";
  /** How the query heads that share a KV head are reduced to one score, before pooling. Default "mean". */
  readonly reduce?: GroupReduction;
}

/** `options` with what was left out filled in. Throws a PolicyError in the name of `policy`. */
export function checkWindow(policy: string, options: ObservationWindowOptions): Required<ObservationWindowOptions> {
  const window = checkWhole(policy, "window", options.window ?? 32, 1);
  const kernel = checkWhole(policy, "kernel", options.kernel ?? 7, 1);
  if (kernel % 2 === 0) refuse(policy, "kernel", kernel, "odd, so that a row lies in the middle of its neighbours");
  const pooling = checkOneOf(policy, "pooling", options.pooling ?? "max", poolings);
  const reduce = checkOneOf(policy, "reduce", options.reduce ?? "mean", groupReductions);
  return { window, kernel, pooling, reduce };
}

/**
 * A row is worth what the newest `window` queries looked at, pooled over its neighbours so that what belongs together stays together. Rows of the window
 * itself take no part in the pooling, as published: next to it, "average" sees zeros and "max" nothing. They have no score of their own either, so
 * protect them, as `last(window)` does.
 *
 * Li et al., 2024, https://arxiv.org/abs/2404.14469. Throws a PolicyError for options out of range.
 */
export function observationWindow(options: ObservationWindowOptions = {}): Scorer {
  checkOptions("observationWindow", options, ["window", "kernel", "pooling", "reduce"]);
  const { window, kernel, pooling, reduce } = checkWindow("observationWindow", options);
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
