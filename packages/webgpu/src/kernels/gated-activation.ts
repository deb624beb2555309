import { bind, flat, type OpKernel } from "../stage.js";
import text from "./gated-activation.wgsl";

export const gatedActivation: OpKernel<"gatedActivation"> = {
  stages(spec) {
    const { rows, width, kind } = spec;
    return [
      {
        text,
        settings: { KIND: kind },
        bound: bind("gatedActivation", spec, { x: "f32", out: "f32" }),
        uniforms: { rows, width },
        grid: flat(rows * width),
        work: 12 * rows * width,
      },
    ];
  },
};
