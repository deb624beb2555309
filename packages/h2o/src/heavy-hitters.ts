import { checkOneOf, type GroupReduction, groupReductions, type Scorer } from "@ziggurat/policy";

/**
 * A row is worth all the attention it has ever received: the running sum, over every query of every message and decode
 * step, of its softmax column. Not divided by the number of queries that could see it, as published, so early rows have
 * had more chances. Query heads that share a KV head are reduced before they are added; "mean" (default) and "sum"
 * choose the same rows.
 *
 * Zhang et al., 2023, https://arxiv.org/abs/2306.14048. Watches every query, which costs a second causal QK^T.
 */
export function heavyHitters(reduce: GroupReduction = "mean"): Scorer<"total"> {
  checkOneOf("heavyHitters", "reduce", reduce, groupReductions);
  return {
    watch: Number.POSITIVE_INFINITY,
    columns: ["total"],
    observe: ({ mass, columns: { total } }) => ({ total: total.add(mass.group(reduce)) }),
    score: ({ columns: { total } }) => total,
  };
}
