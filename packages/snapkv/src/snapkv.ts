import { afterPrefill, last, type OptionsOf, options, type Policy, uniform, whole } from "@ziggurat/policy";
import { observationWindow, observationWindowOptions } from "./observation-window.js";

/** The options of {@link snapkv}, declared. */
export const snapkvOptions = options("snapkv", {
  /** Rows that each layer keeps, window included: `max_capacity_prompt` of the authors' code. More than `window`. */
  keep: whole({ min: 1, moreThan: "window", doc: "rows that each layer keeps, window included" }),
  ...observationWindowOptions.declared,
});

export type SnapKVOptions = OptionsOf<typeof snapkvOptions>;

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
