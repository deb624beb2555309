import { last, type OptionsOf, options, type Policy, type Scorer, uniform, whenOver, whole } from "@ziggurat/policy";

/** Scores a row by the attention of the newest query, the mean over all heads: every head keeps the same rows. */
export const lastQuery: Scorer = {
  watch: 1,
  score: ({ mass }) => mass.acrossHeads("mean"),
};

/** The options of {@link tova}, declared. */
export const tovaOptions = options("tova", {
  /** Rows that each layer keeps, the newest included. */
  keep: whole({ min: 1, doc: "rows that each layer keeps, the newest included" }),
});

export type TovaOptions = OptionsOf<typeof tovaOptions>;

/**
 * TOVA, token omission via attention: whenever a layer is over its budget, the rows that the newest query attends to
 * least are evicted, the same ones in every head. The newest row stays.
 *
 * Oren et al., 2024, https://arxiv.org/abs/2401.06104. Throws a PolicyError for options out of range.
 */
export function tova(options: TovaOptions): Policy {
  const { keep } = tovaOptions.read(options);
  return { name: "tova", budget: uniform(keep), score: lastQuery, protect: last(1), schedule: whenOver() };
}
