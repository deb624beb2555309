import { isQuantised } from "@ziggurat/tensor";
import { bind, flat, type OpKernel } from "../stage.js";
import { bindWeight, partsOf } from "../weights.js";
import text from "./embed.wgsl";

export const embed: OpKernel<"embed"> = {
  stages(spec, { bindingBytes }) {
    const { tokens, vocabulary, width, weight, scale } = spec;
    return partsOf("embed", weight, vocabulary, width, bindingBytes).map((part) => ({
      text,
      settings: { WEIGHT: weight, QUANTISED: isQuantised(weight) },
      bound: {
        ...bind("embed", spec, { ids: "i32", out: "f32" }),
        ...bindWeight("table", weight, vocabulary, width, "u32", part),
      },
      uniforms: { tokens, vocabulary, width, first: part.first, count: part.count },
      floats: { scale },
      grid: flat(tokens * width),
      work: 8 * tokens * width,
    }));
  },
};
