import { bind, groupsOf, type OpKernel, threads } from "../stage.js";
import text from "./rms-norm.wgsl";

export const rmsNorm: OpKernel<"rmsNorm"> = {
  stages(spec, { subgroup }) {
    const { rows, width, epsilon } = spec;
    return [
      {
        text,
        settings: { THREADS: threads, SUBGROUP: subgroup },
        bound: bind("rmsNorm", spec, { x: "f32", weight: "f32", out: "f32" }),
        uniforms: { rows, width },
        floats: { epsilon },
        grid: groupsOf(rows),
        work: 8 * rows * width,
      },
    ];
  },
};
