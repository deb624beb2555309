import { bind, flat, type OpKernel } from "../stage.js";
import text from "./load.wgsl";

export const load: OpKernel<"load"> = {
  stages(spec) {
    const { heads, capacity, width, rotary, tableRows, source, rotate } = spec;
    const items = heads * capacity * width;
    return [
      {
        text,
        settings: { SOURCE: source, KV: source, ROTATE: rotate },
        bound: bind("load", spec, {
          source: "u32",
          ranks: "i32",
          table: "f32",
          offset: "i32",
          length: "i32",
          out: "f32",
        }),
        uniforms: { heads, capacity, size: width, ...(rotate ? { rotary, table_rows: tableRows } : {}) },
        grid: flat(items),
        work: 12 * items,
      },
    ];
  },
};
