import { bind, flat, type OpKernel } from "../stage.js";
import text from "./binary.wgsl";

export const binary: OpKernel<"binary"> = {
  stages(spec) {
    const { d0, d1, d2, a0, a1, a2, b0, b1, b2, kind, literal, value } = spec;
    return [
      {
        text,
        settings: { KIND: kind, LITERAL: literal },
        bound: bind("binary", spec, { a: "f32", b: "f32", out: "f32" }),
        uniforms: { d0, d1, d2, a0, a1, a2, b0, b1, b2 },
        floats: { value },
        grid: flat(d0 * d1 * d2),
        work: 12 * d0 * d1 * d2,
      },
    ];
  },
};
