import { bind, headGrid, type OpKernel } from "../stage.js";
import text from "./through.wgsl";

export const through: OpKernel<"through"> = {
  stages(spec) {
    const { heads, group, repeat, share, capacity, size } = spec;
    return [
      {
        text,
        settings: {},
        bound: bind("through", spec, { x: "f32", gram: "f32", length: "i32", out: "f32" }),
        uniforms: { heads, group, repeat, share, capacity, size, first_head: 0 },
        grid: headGrid(Math.ceil(capacity / 64), heads),
        work: 2 * heads * capacity * size * size,
        cut: "first_head",
      },
    ];
  },
};
