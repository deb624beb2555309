import { matrixRows } from "../matrix-rows.js";
import { quadType, wordsOf } from "../rows.js";
import { bind, headGrid, type OpKernel } from "../stage.js";
import { sideOf } from "./attention.js";
import text from "./watch.wgsl";
import matrix from "./watch-matrix.wgsl";

export const watch: OpKernel<"watch"> = {
  wide: ["qkv", "keys"],
  stages(spec, traits, wide) {
    const {
      sequences,
      tokens,
      queryHeads,
      kvHeads,
      headSize,
      arenaRows,
      capacity,
      from,
      rotary,
      tableRows,
      kv,
      scale,
      softcap,
      slot,
    } = spec;
    wordsOf("watch", kv, headSize);
    const few = slot || tokens - from <= 4;
    const work = 2 * sequences * queryHeads * (tokens - from) * capacity * headSize;
    const matrices =
      slot || tokens - from <= 16 || sequences * queryHeads > 65535
        ? undefined
        : matrixRows("watch", headSize, kv, traits, wide);
    if (matrices) {
      const tables = { lse: "f32", offset: "i32", length: "i32", ended: "i32", mass: "f32" };
      return [
        {
          text: matrix,
          settings: { ...matrices.settings, CAPPED: softcap > 0 },
          bound: bind("watch", spec, { qkv: "vec4<f32>", keys: "vec4<u32>", ...tables }),
          uniforms: { tokens, query_heads: queryHeads, kv_heads: kvHeads, capacity, first: from, first_head: 0 },
          floats: { scale: softcap > 0 ? scale : scale * Math.LOG2E, softcap },
          grid: [Math.ceil(capacity / matrices.rows), sequences * queryHeads, 1],
          work,
          cut: "first_head",
        },
      ];
    }
    const whole = wide && headSize % 4 === 0 && !slot;
    const side = sideOf(tokens - from, traits);
    const tile = few ? 64 : 4 * side;
    const tables = { cells: "u32", table: "f32", lse: "f32", offset: "i32", length: "i32", ended: "i32", mass: "f32" };
    return [
      {
        text,
        settings: {
          FEW: few,
          SLOT: slot,
          QUADS: Math.ceil(headSize / 4),
          KV: kv,
          WIDE: whole,
          ...(few ? {} : { SIDE: side }),
        },
        bound: bind("watch", spec, { qkv: "f32", keys: whole ? quadType(kv) : "u32", ...tables }),
        uniforms: {
          ...{
            sequences,
            tokens,
            query_heads: queryHeads,
            kv_heads: kvHeads,
            size: headSize,
            capacity,
            first: from,
            first_head: 0,
          },
          ...(slot ? { arena_rows: arenaRows, rotary, table_rows: tableRows } : {}),
        },
        floats: { scale, softcap },
        grid: headGrid(Math.ceil(capacity / tile), sequences * queryHeads),
        work,
        cut: "first_head",
      },
    ];
  },
};
