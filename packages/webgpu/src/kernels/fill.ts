import { bind, flat, type OpKernel } from "../stage.js";
import text from "./fill.wgsl";

export const fill: OpKernel<"fill"> = {
  stages(spec) {
    const { words, dtype, value } = spec;
    const word = dtype === "i32" ? value : new Int32Array(Float32Array.of(value).buffer)[0]!;
    return [
      {
        text,
        settings: {},
        bound: bind("fill", spec, { out: "u32" }),
        uniforms: { words, value: word },
        grid: flat(words),
        work: 4 * words,
      },
    ];
  },
};
