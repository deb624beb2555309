import { computed, last, type OptionsOf, options, type Policy, uniform, whenOver, whole } from "@ziggurat/policy";
import { heavyHitters, reduce } from "./heavy-hitters.js";

/** The options of {@link h2o}, declared. */
export const h2oOptions = options("h2o", {
  /** Rows that each layer keeps, heavy hitters and newest: `hh_size` + `recent_size` of the authors' code. */
  keep: whole({ min: 1, atLeast: "recent", doc: "rows that each layer keeps" }),
  /** Newest rows that stay, `recent_size`; the others are heavy hitters. Default: half of `keep`, as published. */
  recent: whole({
    min: 0,
    default: computed("keep", (keep) => Math.floor(keep / 2), "half of `keep`"),
    doc: "newest rows that stay",
  }),
  /** How the query heads of a KV head become one score. The authors' code has no shared heads. Default "mean". */
  reduce,
});

export type H2OOptions = OptionsOf<typeof h2oOptions>;

/**
 * H2O, the heavy-hitter oracle: the rows that have received most attention so far, and the newest. Evicts after every
 * message and every generated token that leaves a layer over its budget; a row that was evicted never returns. A larger
 * `recent` leaves fewer rows for heavy hitters.
 *
 * Zhang et al., 2023, https://arxiv.org/abs/2306.14048. Throws a PolicyError for options out of range.
 */
export function h2o(options: H2OOptions): Policy {
  const { keep, recent, reduce } = h2oOptions.read(options);
  return {
    name: "h2o",
    budget: uniform(keep),
    score: heavyHitters(reduce),
    protect: last(recent),
    schedule: whenOver(),
  };
}
