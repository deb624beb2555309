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

/**
 * Scores a row by how far its key points away from the others: the negated cosine between the key and the mean of all
 * keys of the head, each scaled to length 1. Keys are compared as they are stored.
 */
export const keyDifference: Scorer = {
  score: ({ keys }) => {
    const directions = keys.div(keys.norm("size").maximum(1e-12));
    const mean = directions.mean("rows");
    return directions
      .mul(mean.div(mean.norm("size").maximum(1e-12)))
      .sum("size")
      .neg();
  },
};

/** The options of {@link keydiff}, declared. */
export const keydiffOptions = options("keydiff", {
  /** Rows that each layer keeps. */
  keep: whole({ min: 1, doc: "rows that each layer keeps" }),
});

export type KeyDiffOptions = OptionsOf<typeof keydiffOptions>;

/**
 * KeyDiff: after every message, the rows whose keys are least like the others. It looks at no query, so it is the same
 * for every question.
 *
 * Park et al., 2025, https://arxiv.org/abs/2504.15364. Throws a PolicyError for options out of range.
 */
export function keydiff(options: KeyDiffOptions): Policy {
  const { keep } = keydiffOptions.read(options);
  return { name: "keydiff", budget: uniform(keep), score: keyDifference, protect: none, schedule: afterPrefill() };
}
