import { elementBytes, OpError } from "@ziggurat/tensor";
import { wordsOf } from "../rows.js";
import { bind, type OpKernel, type Stage, scratch } from "../stage.js";
import text from "./decode-attention.wgsl";
import merge from "./decode-merge.wgsl";

/** Workgroups that keep a large GPU busy. If there would be more, each takes more rows. */
const busy = 512;
const tile = 128;
const powerOf2 = (n: number) => 2 ** Math.ceil(Math.log2(n));

export const decodeAttention: OpKernel<"decodeAttention"> = {
  wide: ["keys", "values"],
  stages(spec, { subgroup, software }, wide) {
    const {
      sequences,
      queryHeads,
      kvHeads,
      headSize,
      arenaRows,
      capacity,
      rotary,
      tableRows,
      kv,
      scale,
      softcap,
      slot,
    } = spec;
    wordsOf("decodeAttention", kv, headSize);
    if (headSize > 256)
      throw new OpError(`decodeAttention: heads of ${headSize} numbers; WebGPU kernels take up to 256`);
    const whole = wide && headSize % 8 === 0;
    const type = whole ? "vec4<u32>" : "u32";
    const octs = Math.ceil(headSize / 8);
    const lanes = powerOf2(octs);
    const share = queryHeads / kvHeads;
    const heads = Math.min(4, powerOf2(share));
    const blocks = Math.ceil(share / heads);
    const tiles = Math.max(1, Math.ceil((capacity * kvHeads * blocks * sequences) / tile / busy));
    const splits = Math.ceil(capacity / (tile * tiles));
    const single = splits === 1;
    const partial = scratch("vec4<f32>", 16 * sequences * queryHeads * splits * (2 * octs + 1));
    const tables = { offset: "i32", length: "i32", ended: "i32" };
    const read = bind("decodeAttention", spec, {
      qkv: "f32",
      keys: slot ? "u32" : type,
      values: type,
      cells: "u32",
      table: "f32",
      ...tables,
    });
    const written = bind("decodeAttention", spec, { out: "f32", lse: "f32" });
    const settings = {
      ...{
        LANES: lanes,
        HEADS: heads,
        OCTS: octs,
        LOADS: software ? 1 : Math.min(4, lanes),
        KV: kv,
        WIDE: whole,
        SLOT: slot,
        SINGLE: single,
      },
      AHEAD: !slot && !software,
      ...(subgroup === 32
        ? {
            SUBGROUP: 32,
            PARTED: heads > 1 && heads <= lanes,
            LANE_STEPS: Math.log2(lanes),
            PARTED_STEPS: Math.log2(lanes / heads),
            TEAM_STEPS: Math.log2(32 / lanes),
          }
        : { SUBGROUP: 0 }),
    };
    const split: Stage = {
      text,
      settings,
      bound: { ...read, ...(single ? written : { partial }) },
      uniforms: {
        ...{ query_heads: queryHeads, kv_heads: kvHeads, size: headSize, splits, tiles },
        ...(slot ? { arena_rows: arenaRows, rotary, table_rows: tableRows } : {}),
      },
      floats: { scale, softcap },
      grid: [splits, kvHeads * blocks, sequences],
      work:
        4 * capacity * queryHeads * headSize * sequences +
        2 * elementBytes[kv] * capacity * kvHeads * headSize * sequences,
    };
    if (single) return [split];
    const last: Stage = {
      text: merge,
      settings: { MERGE: true, SUBGROUP: subgroup },
      bound: {
        partial: { ...partial, written: false },
        ...bind("decodeAttention", spec, { length: "i32", ended: "i32" }),
        ...written,
      },
      uniforms: {
        query_heads: queryHeads,
        kv_heads: kvHeads,
        size: headSize,
        splits,
        quads: 2 * octs,
        rows_at_once: tile * tiles,
      },
      grid: [queryHeads, sequences, Math.ceil(octs / 4)],
      work: 4 * sequences * queryHeads * splits * headSize,
    };
    return [split, last];
  },
};
