import { type OptionsOf, options, type Policy, whole } from "@ziggurat/policy";
import { snapkv, snapkvOptions } from "@ziggurat/snapkv";
import { pyramid, pyramidOptions } from "./pyramid.js";

/** The options of {@link pyramidkv}, declared: those of SnapKV and of the pyramid. */
export const pyramidkvOptions = options("pyramidkv", {
  ...snapkvOptions.declared,
  /** Rows that a layer keeps on average, window included: `max_capacity_prompt`. More than `window`. */
  keep: whole({ min: 1, moreThan: "window", doc: "rows that a layer keeps on average, window included" }),
  ...pyramidOptions.declared,
});

export type PyramidKVOptions = OptionsOf<typeof pyramidkvOptions>;

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
