import { bind, flat, type OpKernel } from "../stage.js";
import text from "./unary.wgsl";

export const unary: OpKernel<"unary"> = {
  stages(spec) {
    const { elements, x, kind } = spec;
    return [
      {
        text,
        settings: { KIND: kind },
        bound: bind("unary", spec, { x, out: "f32" }),
        uniforms: { elements },
        grid: flat(elements),
        work: 12 * elements,
      },
    ];
  },
};
