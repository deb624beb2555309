import { isQuantised } from "@ziggurat/tensor";
import { bind, flat, type OpKernel } from "../stage.js";
import { bindWeight } from "../weights.js";
import text from "./embed.wgsl";

export const embed: OpKernel<"embed"> = {
  stages(spec) {
    const { tokens, vocabulary, width, weight, scale } = spec;
    return [
      {
        text,
        settings: { WEIGHT: weight, QUANTISED: isQuantised(weight) },
        bound: { ...bind("embed", spec, { ids: "i32", out: "f32" }), ...bindWeight("table", weight, vocabulary, width, "u32") },
        uniforms: { tokens, vocabulary, width },
        floats: { scale },
        grid: flat(tokens * width),
        work: 8 * tokens * width,
      },
    ];
  },
};
