import { bind, groupsOf, type OpKernel, threads } from "../stage.js";
import text from "./log-probability.wgsl";

export const logProbability: OpKernel<"logProbability"> = {
  stages(spec) {
    const { rows, vocabulary } = spec;
    return [
      {
        text,
        settings: { THREADS: threads },
        bound: bind("logProbability", spec, { logits: "f32", ids: "i32", out: "f32" }),
        uniforms: { rows, vocabulary },
        grid: groupsOf(rows),
        work: 16 * rows * vocabulary,
      },
    ];
  },
};
