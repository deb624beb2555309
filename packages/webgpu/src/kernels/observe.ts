import { quadType, wordsOf } from "../rows.js";
import { bind, headGrid, type OpKernel } from "../stage.js";
import text from "./observe.wgsl";

export const observe: OpKernel<"observe"> = {
  wide: ["qkv", "keys"],
  stages(spec, _traits, wide) {
    const { sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, capacity, queries } = spec;
    const { from, first, rotary, tableRows, kv, scale, softcap, slot } = spec;
    wordsOf("observe", kv, headSize);
    const whole = wide && headSize % 4 === 0 && !slot;
    const tables = { cells: "u32", table: "f32", lse: "f32", offset: "i32", length: "i32", ended: "i32" };
    return [
      {
        text,
        settings: { SLOT: slot, QUADS: Math.ceil(headSize / 4), KV: kv, WIDE: whole },
        bound: bind("observe", spec, {
          ...{ qkv: "f32", keys: whole ? quadType(kv) : "u32", observed: "f32" },
          ...tables,
        }),
        uniforms: {
          ...{ sequences, tokens, query_heads: queryHeads, kv_heads: kvHeads, size: headSize, capacity, queries },
          ...{ watched: from, first, first_head: 0 },
          ...(slot ? { arena_rows: arenaRows, rotary, table_rows: tableRows } : {}),
        },
        floats: { scale, softcap },
        grid: headGrid(Math.ceil(capacity / 64), sequences * queryHeads),
        work: 2 * sequences * queryHeads * (tokens - from) * capacity * headSize,
        cut: "first_head",
      },
    ];
  },
};
