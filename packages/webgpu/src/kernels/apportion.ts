import { bind, groupsOf, type OpKernel } from "../stage.js";
import text from "./apportion.wgsl";

export const apportion: OpKernel<"apportion"> = {
  stages(spec) {
    const { sequences, kvHeads, capacity } = spec;
    const tables = { positions: "i32", offset: "i32", length: "i32", limits: "i32", keep: "i32" };
    return [
      {
        text,
        settings: {},
        bound: bind("apportion", spec, { scores: "f32", ...tables }),
        uniforms: { sequences, kv_heads: kvHeads, capacity },
        grid: groupsOf(sequences),
        work: 300 * sequences * kvHeads * capacity,
      },
    ];
  },
};
