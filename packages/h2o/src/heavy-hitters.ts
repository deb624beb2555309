import { type GroupReduction, groupReductions, oneOf, type Scorer } from "@ziggurat/policy";

/** The option `reduce` of {@link heavyHitters} and of the policy. */
export const reduce = oneOf(groupReductions, {
  default: "mean",
  doc: "how the query heads of a KV head become one score",
});

/**
 * Scores a row by all the attention that it has ever received: the running sum, over every query of every message and
 * decode step, of its softmax column. As published, the sum is not divided by the number of queries that could see the
 * row, so early rows have had more chances. Query heads that share a KV head are reduced before they are added; "mean"
 * (default) and "sum" choose the same rows.
 *
 * Zhang et al., 2023, https://arxiv.org/abs/2306.14048. Watches every query, which costs a second causal QK^T.
 */
export function heavyHitters(reduction: GroupReduction = "mean"): Scorer<"total"> {
  reduce.check("heavyHitters", "reduce", reduction);
  return {
    watch: Number.POSITIVE_INFINITY,
    columns: ["total"],
    observe: ({ mass, columns: { total } }) => ({ total: total.add(mass.group(reduction)) }),
    score: ({ columns: { total } }) => total,
  };
}
