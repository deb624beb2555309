import {
  afterPrefill,
  none,
  type OptionsOf,
  options,
  type Policy,
  type Scorer,
  uniform,
  whole,
} from "@ziggurat/policy";

/** Scores a row by the length of its key, shorter being better: short keys attract attention. */
export const keyNorm: Scorer = { score: ({ keys }) => keys.norm("size").neg() };

/** The options of {@link knorm}, declared. */
export const knormOptions = options("knorm", {
  /** Rows that each layer keeps. */
  keep: whole({ min: 1, doc: "rows that each layer keeps" }),
});

export type KnormOptions = OptionsOf<typeof knormOptions>;

/**
 * Knorm: after every message, the rows with the shortest keys. It looks at no query, so it is the same for every
 * question.
 *
 * Devoto et al., 2024, https://arxiv.org/abs/2406.11430. Throws a PolicyError for options out of range.
 */
export function knorm(options: KnormOptions): Policy {
  const { keep } = knormOptions.read(options);
  return { name: "knorm", budget: uniform(keep), score: keyNorm, protect: none, schedule: afterPrefill() };
}
