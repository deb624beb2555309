import { bind, flat, type OpKernel } from "../stage.js";
import text from "./copy.wgsl";

export const copy: OpKernel<"copy"> = {
  stages(spec) {
    const { words } = spec;
    return [
      {
        text,
        settings: {},
        bound: bind("copy", spec, { x: "u32", out: "u32" }),
        uniforms: { words },
        grid: flat(words),
        work: 8 * words,
      },
    ];
  },
};
