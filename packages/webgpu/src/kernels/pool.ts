import { bind, flat, type OpKernel } from "../stage.js";
import text from "./pool.wgsl";

export const pool: OpKernel<"pool"> = {
  stages(spec) {
    const { heads, capacity, size, kernel, share, kind } = spec;
    return [
      {
        text,
        settings: { KIND: kind },
        bound: bind("pool", spec, { x: "f32", length: "i32", out: "f32" }),
        uniforms: { heads, capacity, size, kernel, share },
        grid: flat(heads * capacity * size),
        work: 4 * heads * capacity * size * (kernel + 1),
      },
    ];
  },
};
