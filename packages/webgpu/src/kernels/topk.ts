import { bind, groupsOf, type OpKernel } from "../stage.js";
import text from "./topk.wgsl";

export const topk: OpKernel<"topk"> = {
  stages(spec) {
    const { heads, capacity, most } = spec;
    const tables = { positions: "i32", offset: "i32", length: "i32", keep: "i32", rows: "i32", count: "i32" };
    return [
      {
        text,
        settings: {},
        bound: bind("topk", spec, { scores: "f32", ...tables }),
        uniforms: { heads, capacity, most },
        grid: groupsOf(heads),
        work: 60 * heads * capacity,
      },
    ];
  },
};
