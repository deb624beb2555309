import { bind, flat, type OpKernel } from "../stage.js";
import text from "./store.wgsl";

export const store: OpKernel<"store"> = {
  stages(spec) {
    const { sequences, kvHeads, capacity } = spec;
    const items = sequences * kvHeads * capacity;
    return [
      {
        text,
        settings: {},
        bound: bind("store", spec, { x: "f32", offset: "i32", length: "i32", ended: "i32", target: "f32" }),
        uniforms: { sequences, kv_heads: kvHeads, capacity },
        grid: flat(items),
        work: 12 * items,
      },
    ];
  },
};
