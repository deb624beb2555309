import { checkOptions, type Policy } from "@ziggurat/policy";
import { type SnapKVOptions, snapkv, snapkvOptions } from "@ziggurat/snapkv";
import { checkPyramid, type PyramidOptions, pyramid } from "./pyramid.js";

export interface PyramidKVOptions extends SnapKVOptions, PyramidOptions {}

/**
 * PyramidKV: SnapKV with a budget that falls from layer to layer, since lower layers read the text widely and upper
 * layers have settled on a few rows of it. `keep` is the mean over the layers. See {@link pyramid} for `beta` and
 * `rounding`, `snapkv` for the rest.
 *
 * Cai et al., 2024, https://arxiv.org/abs/2406.02069. Throws a PolicyError for options out of range.
 */
export function pyramidkv(options: PyramidKVOptions): Policy {
  checkOptions("pyramidkv", options, ["keep", "window", "kernel", "pooling", "reduce", "beta", "rounding"]);
  const base = snapkvOptions("pyramidkv", options);
  return { ...snapkv(base), name: "pyramidkv", budget: pyramid(base.keep, checkPyramid("pyramidkv", options)) };
}
