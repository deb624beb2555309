import { wordsOf } from "../rows.js";
import { bind, groupsOf, type OpKernel } from "../stage.js";
import text from "./evict.wgsl";

export const evict: OpKernel<"evict"> = {
  stages(spec) {
    const { sequences, kvHeads, capacity, most, headSize, arenaRows, planes, kv, ordered, ranks } = spec;
    const words = wordsOf("evict", kv, headSize);
    const heads = sequences * kvHeads;
    const tables = { offset: "u32", length: "u32", rows: "u32", count: "u32", ended: "u32" };
    return [
      {
        text,
        settings: { ORDERED: ordered, RANKS: ranks },
        bound: bind("evict", spec, { keys: "u32", values: "u32", cells: "u32", ...tables }),
        uniforms: { heads, kv_heads: kvHeads, most, words, arena_rows: arenaRows, planes },
        grid: groupsOf(heads),
        work: 8 * heads * capacity * (ordered ? 2 * words : 4),
      },
    ];
  },
};
