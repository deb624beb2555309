// A new policy needs @ziggurat/policy alone. KeyDiff: Park et al., 2025, https://arxiv.org/abs/2504.15364
import { afterPrefill, last, type Policy, type Scorer, uniform } from "@ziggurat/policy";

/**
 * A key is worth how little it is like the others: minus its cosine with the mean direction of all keys. Looks at no
 * query.
 */
export const keyDifference: Scorer = {
  score({ keys }) {
    const direction = keys.div(keys.norm("size"));
    const anchor = direction.mean("rows");
    return direction
      .mul(anchor.div(anchor.norm("size")))
      .sum("size")
      .neg();
  },
};

export interface KeyDiffOptions {
  /** Rows that each layer keeps. */
  readonly keep: number;
  /** How many of the rows are the newest tokens. Default 32. */
  readonly recent?: number;
}

export const keyDiff = ({ keep, recent = 32 }: KeyDiffOptions): Policy => ({
  name: "keydiff",
  budget: uniform(keep),
  score: keyDifference,
  protect: last(recent),
  schedule: afterPrefill(),
});
