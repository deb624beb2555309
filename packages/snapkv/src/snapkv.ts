import { afterPrefill, checkOptions, checkWhole, last, type Policy, refuse, uniform } from "@ziggurat/policy";
import { checkWindow, type ObservationWindowOptions, observationWindow } from "./observation-window.js";

export interface SnapKVOptions extends ObservationWindowOptions {
  /** Rows that each layer keeps, the window included: `max_capacity_prompt` of the authors' code. Whole, more than `window`. */
  readonly keep: number;
}

/** `options` with what was left out filled in. Throws a PolicyError in the name of `policy`: for recipes that are SnapKV with another part. */
export function snapkvOptions(policy: string, options: SnapKVOptions): Required<SnapKVOptions> {
  const keep = checkWhole(policy, "keep", options.keep, 1);
  const checked = checkWindow(policy, options);
  if (keep <= checked.window) refuse(policy, "keep", keep, `more than window, ${checked.window}`);
  return { keep, ...checked };
}

/**
 * SnapKV: after every message, the rows that its last `window` queries looked at, and those queries' own rows; nothing is evicted while the answer is
 * generated. A larger window asks more queries; a larger kernel keeps longer stretches of text together.
 *
 * Li et al., 2024, https://arxiv.org/abs/2404.14469. Defaults are those of the authors' LongBench settings. Throws a PolicyError for options out of range.
 */
export function snapkv(options: SnapKVOptions): Policy {
  checkOptions("snapkv", options, ["keep", "window", "kernel", "pooling", "reduce"]);
  const { keep, ...window } = snapkvOptions("snapkv", options);
  return {
    name: "snapkv",
    budget: uniform(keep),
    score: observationWindow(window),
    protect: last(window.window),
    schedule: afterPrefill(),
  };
}
