import { elementBytes, OpError } from "@ziggurat/tensor";
import { quadType, wordsOf } from "../rows.js";
import { bind, type OpKernel, scratch } from "../stage.js";
import text from "./decode-attention.wgsl";

/** Workgroups below which rows are split further. */
const fewGroups = 512;

export const decodeAttention: OpKernel<"decodeAttention"> = {
  wide: ["keys", "values"],
  stages(spec, _, wide) {
    const { sequences, queryHeads, kvHeads, headSize, arenaRows, capacity, rotary, tableRows, kv, scale, softcap, slot } = spec;
    wordsOf("decodeAttention", kv, headSize);
    if (headSize > 256) throw new OpError(`decodeAttention: heads of ${headSize} numbers; WebGPU kernels take up to 256`);
    const whole = wide && headSize % 4 === 0;
    const type = whole ? quadType(kv) : "u32";
    const quads = Math.ceil(headSize / 4);
    const share = queryHeads / kvHeads;
    const heads = Math.min(8, 2 ** Math.ceil(Math.log2(share)));
    const blocks = Math.ceil(share / heads);
    const rowsAtOnce = Math.ceil(capacity / 128) * kvHeads * blocks * sequences < fewGroups ? 64 : 128;
    const splits = Math.ceil(capacity / rowsAtOnce);
    const single = splits === 1;
    const partial = scratch("f32", 4 * sequences * queryHeads * splits * (headSize + 2));
    const tables = { offset: "i32", length: "i32", ended: "i32" };
    const uniforms = { query_heads: queryHeads, kv_heads: kvHeads, size: headSize, splits };
    const read = bind("decodeAttention", spec, { qkv: "f32", keys: slot ? "u32" : type, values: type, cells: "u32", table: "f32", ...tables });
    const written = bind("decodeAttention", spec, { out: "f32", lse: "f32" });
    const quadLanes = 2 ** Math.ceil(Math.log2(quads));
    const settings = { ROWS_AT_ONCE: rowsAtOnce, HEADS: heads, QUADS: quads, QUAD_LANES: quadLanes, KV: kv, WIDE: whole, SLOT: slot, SINGLE: single };
    const split = {
      text,
      settings,
      bound: { ...read, ...(single ? written : { partial }) },
      uniforms: { ...uniforms, ...(slot ? { arena_rows: arenaRows, rotary, table_rows: tableRows } : {}) },
      floats: { scale, softcap },
      grid: [splits, kvHeads * blocks, sequences] as const,
      work: 4 * capacity * queryHeads * headSize * sequences + 2 * elementBytes[kv] * capacity * kvHeads * headSize * sequences,
    };
    if (single) return [split];
    const merge = {
      text,
      settings: { MERGE: true },
      bound: { partial: { ...partial, written: false }, ...bind("decodeAttention", spec, { length: "i32", ended: "i32" }), ...written },
      uniforms: { ...uniforms, rows_at_once: rowsAtOnce },
      grid: [queryHeads, sequences, 1] as const,
      work: 4 * sequences * queryHeads * splits * headSize,
    };
    return [split, merge];
  },
};
