import { wordsOf } from "../rows.js";
import { bind, flat, type OpKernel } from "../stage.js";
import text from "./append.wgsl";

export const append: OpKernel<"append"> = {
  stages(spec) {
    const { sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, planes, kv, keys, values, cells, ranks } =
      spec;
    const words = wordsOf("append", kv, headSize);
    const items = sequences * kvHeads * tokens * words;
    const rows = { keys: "u32", values: "u32", cells: "u32" };
    return [
      {
        text,
        settings: { KV: kv, KEYS: keys, VALUES: values, CELLS: cells, RANKS: ranks },
        bound: bind("append", spec, { qkv: "f32", ...rows, offset: "u32", length: "u32", seen: "u32", ended: "u32" }),
        uniforms: {
          sequences,
          tokens,
          query_heads: queryHeads,
          kv_heads: kvHeads,
          head_size: headSize,
          arena_rows: arenaRows,
          planes,
          words,
        },
        grid: flat(items),
        work: 24 * items,
      },
    ];
  },
};
