import { bind, headGrid, type OpKernel, threads } from "../stage.js";
import text from "./order.wgsl";

export const order: OpKernel<"order"> = {
  stages(spec) {
    const { heads, capacity } = spec;
    return [
      {
        text,
        settings: {},
        bound: bind("order", spec, { positions: "i32", offset: "i32", length: "i32", rows: "i32", count: "i32" }),
        uniforms: { heads, capacity },
        grid: headGrid(Math.ceil(capacity / threads), heads),
        work: (heads * capacity * capacity) / threads,
      },
    ];
  },
};
