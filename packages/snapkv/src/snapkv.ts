import { afterPrefill, type Given, last, options, type Policy, uniform, whole } from "@ziggurat/policy";
import { type ObservationWindowOptions, observationWindow, observationWindowOptions } from "./observation-window.js";

const budget = {
  /** Rows that each layer keeps, window included: `max_capacity_prompt` of the authors' code. More than `window`. */
  keep: whole({ min: 1, moreThan: "window", doc: "rows that each layer keeps, window included" }),
};

/** The options of {@link snapkv}, declared. */
export const snapkvOptions = options("snapkv", { ...budget, ...observationWindowOptions.declared });

export interface SnapKVOptions extends Given<typeof budget>, ObservationWindowOptions {}

/**
 * SnapKV: after every message, the rows that its last `window` queries looked at, and those queries' own rows. Nothing
 * is evicted while the answer is generated. A larger window asks more queries; a larger kernel keeps longer stretches
 * of text together.
 *
 * Li et al., 2024, https://arxiv.org/abs/2404.14469. Defaults are those of the authors' LongBench settings. Throws a
 * PolicyError for options out of range.
 */
export function snapkv(options: SnapKVOptions): Policy {
  const { keep, ...window } = snapkvOptions.read(options);
  return {
    name: "snapkv",
    budget: uniform(keep),
    score: observationWindow(window),
    protect: last(window.window),
    schedule: afterPrefill(),
  };
}
