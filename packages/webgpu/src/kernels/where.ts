import { bind, flat, type OpKernel } from "../stage.js";
import text from "./where.wgsl";

export const where: OpKernel<"where"> = {
  stages(spec) {
    const { d0, d1, d2, m0, m1, m2, a0, a1, a2, b0, b1, b2, literalA, literalB, valueA, valueB } = spec;
    return [
      {
        text,
        settings: { LITERAL_A: literalA, LITERAL_B: literalB },
        bound: bind("where", spec, { mask: "f32", a: "f32", b: "f32", out: "f32" }),
        uniforms: { d0, d1, d2, m0, m1, m2, a0, a1, a2, b0, b1, b2 },
        floats: { value_a: valueA, value_b: valueB },
        grid: flat(d0 * d1 * d2),
        work: 16 * d0 * d1 * d2,
      },
    ];
  },
};
