import { bind, flat, groupsOf, type OpKernel, threads } from "../stage.js";
import text from "./reduce.wgsl";

export const reduce: OpKernel<"reduce"> = {
  stages(spec) {
    const { d0, d1, d2, share, axis, kind, ragged } = spec;
    const shape = [d0, d1, d2];
    const count = shape[axis] ?? 1;
    const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const long = count >= 64;
    return [
      {
        text,
        settings: {
          KIND: kind,
          SUM: kind === "sum" || kind === "mean" || kind === "norm",
          RAGGED: ragged,
          LONG: long,
          THREADS: threads,
        },
        bound: bind("reduce", spec, { x: "f32", length: "i32", out: "f32" }),
        uniforms: { outer, count, inner, ...(ragged ? { share } : {}) },
        grid: long ? groupsOf(outer * inner) : flat(outer * inner),
        work: 6 * d0 * d1 * d2,
      },
    ];
  },
};
