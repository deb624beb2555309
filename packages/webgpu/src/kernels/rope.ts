import { bind, flat, type OpKernel } from "../stage.js";
import text from "./rope.wgsl";

export const rope: OpKernel<"rope"> = {
  stages(spec) {
    const { sequences, tokens, queryHeads, kvHeads, headSize, rotary, tableRows, keys } = spec;
    const turned = queryHeads + (keys ? kvHeads : 0);
    const pairs = (sequences * tokens * turned * rotary) / 2;
    return [
      {
        text,
        settings: {},
        bound: bind("rope", spec, { qkv: "f32", table: "f32", base: "i32" }),
        uniforms: {
          sequences,
          tokens,
          query_heads: queryHeads,
          kv_heads: kvHeads,
          head_size: headSize,
          rotary,
          table_rows: tableRows,
          turned,
        },
        grid: flat(pairs),
        work: 24 * pairs,
      },
    ];
  },
};
