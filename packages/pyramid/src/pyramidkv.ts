import { type Given, options, type Policy, whole } from "@ziggurat/policy";
import { type ObservationWindowOptions, snapkv, snapkvOptions } from "@ziggurat/snapkv";
import { type PyramidOptions, pyramid, pyramidOptions } from "./pyramid.js";

const budget = {
  /** Rows that a layer keeps on average, window included: `max_capacity_prompt`. More than `window`. */
  keep: whole({ min: 1, moreThan: "window", doc: "rows that a layer keeps on average, window included" }),
};

/** The options of {@link pyramidkv}, declared: those of SnapKV and of the pyramid. */
export const pyramidkvOptions = options("pyramidkv", {
  ...snapkvOptions.declared,
  ...budget,
  ...pyramidOptions.declared,
});

export interface PyramidKVOptions extends Given<typeof budget>, ObservationWindowOptions, PyramidOptions {}

/**
 * PyramidKV: SnapKV with a budget that falls from layer to layer, since lower layers read the text widely and upper
 * layers have settled on a few rows of it. See {@link pyramid} for `beta` and `rounding`, `snapkv` for the rest.
 *
 * Cai et al., 2024, https://arxiv.org/abs/2406.02069. Throws a PolicyError for options out of range.
 */
export function pyramidkv(options: PyramidKVOptions): Policy {
  const { beta, rounding, ...base } = pyramidkvOptions.read(options);
  return { ...snapkv(base), name: "pyramidkv", budget: pyramid(base.keep, { beta, rounding }) };
}
