import { afterPrefill, type Given, last, options, type Policy, uniform, whole } from "@ziggurat/policy";
import { type OutputChangeOptions, outputChange, outputChangeOptions } from "./output-change.js";

const budget = {
  /** Rows that each layer keeps, window included. More than `window`. */
  keep: whole({ min: 1, moreThan: "window", doc: "rows that each layer keeps, window included" }),
};

/** The options of {@link restkv}, declared. */
export const restkvOptions = options("restkv", { ...budget, ...outputChangeOptions.declared });

export interface RestKVOptions extends Given<typeof budget>, OutputChangeOptions {}

/**
 * ReST-KV: after every message, the rows whose loss would change the layer's output most, as the last `window` queries
 * see it, and those queries' own rows. See {@link outputChange}. The published pooling, whose size follows from the
 * data, is replaced by a fixed `kernel`.
 *
 * An et al., 2026, https://arxiv.org/abs/2605.08840. Throws a PolicyError for options out of range.
 */
export function restkv(options: RestKVOptions): Policy {
  const { keep, ...window } = restkvOptions.read(options);
  return {
    name: "restkv",
    budget: uniform(keep),
    score: outputChange(window),
    protect: last(window.window),
    schedule: afterPrefill(),
  };
}
