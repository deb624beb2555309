import { bind, groupsOf, type OpKernel, threads } from "../stage.js";
import text from "./rms-norm.wgsl";

export const rmsNorm: OpKernel<"rmsNorm"> = {
  wide: ["x", "weight", "out"],
  stages(spec, { subgroup }, wide) {
    const { rows, width, epsilon } = spec;
    const whole = wide && width % 4 === 0;
    const type = whole ? "vec4<f32>" : "f32";
    return [
      {
        text,
        settings: { THREADS: threads, SUBGROUP: subgroup, WIDE: whole },
        bound: bind("rmsNorm", spec, { x: type, weight: type, out: type }),
        uniforms: { rows, width, pieces: whole ? width / 4 : width },
        floats: { epsilon },
        grid: groupsOf(rows),
        work: 8 * rows * width,
      },
    ];
  },
};
