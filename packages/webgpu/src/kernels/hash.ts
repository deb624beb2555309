import { bind, flat, type OpKernel } from "../stage.js";
import text from "./hash.wgsl";

export const hash: OpKernel<"hash"> = {
  stages(spec) {
    const { heads, capacity, kvHeads, seed } = spec;
    return [
      {
        text,
        settings: {},
        bound: bind("hash", spec, { positions: "f32", out: "f32" }),
        uniforms: { heads, capacity, kv_heads: kvHeads, seed },
        grid: flat(heads * capacity),
        work: 20 * heads * capacity,
      },
    ];
  },
};
