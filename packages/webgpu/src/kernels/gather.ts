import { wordsOf } from "../rows.js";
import { bind, flat, type OpKernel } from "../stage.js";
import text from "./gather.wgsl";

export const gather: OpKernel<"gather"> = {
  stages(spec) {
    const { heads, most, headSize, arenaRows, targetRows, planes, rotary, tableRows, kv, values, ranks, rotate } = spec;
    const words = wordsOf("gather", kv, headSize);
    const from = { keys: "u32", values: "u32", cells: "u32", offset: "u32", rows: "u32", count: "u32", table: "f32" };
    const to = { targetKeys: "u32", targetValues: "u32", targetCells: "u32", targetOffset: "u32", targetLength: "u32" };
    return [
      {
        text,
        settings: { KV: kv, VALUES: values, RANKS: ranks && values, ROTATE: rotate },
        bound: bind("gather", spec, { ...from, ...to }),
        uniforms: {
          heads,
          most,
          size: headSize,
          words,
          arena_rows: arenaRows,
          target_rows: targetRows,
          planes,
          rotary,
          table_rows: tableRows,
        },
        grid: flat(heads * most * words),
        work: 16 * heads * most * words,
      },
    ];
  },
};
