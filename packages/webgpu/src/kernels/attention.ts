import { elementBytes } from "@ziggurat/tensor";
import { matrixRows } from "../matrix-rows.js";
import { quadType, wordsOf } from "../rows.js";
import { bind, type OpKernel, type Traits } from "../stage.js";
import text from "./attention.wgsl";
import matrix from "./attention-matrix.wgsl";

/** Workgroup memory of the larger tile, in bytes. */
const largeTile = 16 * (2 * 64 * 5 + 64 * 17);

/** The side of a workgroup for tiles over `tokens` queries. */
export const sideOf = (tokens: number, { workgroupBytes }: Traits): 8 | 16 =>
  tokens <= 32 || workgroupBytes < largeTile ? 8 : 16;

export const attention: OpKernel<"attention"> = {
  wide: ["qkv", "keys", "values"],
  stages(spec, traits, wide) {
    const { tokens, queryHeads, kvHeads, headSize, arenaRows, kv, window, scale, softcap } = spec;
    wordsOf("attention", kv, headSize);
    const work =
      4 * tokens * queryHeads * headSize * Math.min(arenaRows / kvHeads, window || Number.POSITIVE_INFINITY) +
      elementBytes[kv] * arenaRows;
    const matrices = tokens > 32 ? matrixRows("attention", headSize, kv, traits, wide) : undefined;
    if (matrices) {
      const rows = { keys: "vec4<u32>", values: "vec4<u32>", offset: "i32", length: "i32" };
      return [
        {
          text: matrix,
          settings: { ...matrices.settings, CAPPED: softcap > 0 },
          bound: bind("attention", spec, { qkv: "vec4<f32>", ...rows, out: "f32", lse: "f32" }),
          uniforms: { tokens, query_heads: queryHeads, kv_heads: kvHeads, window, first_head: 0 },
          floats: { scale: softcap > 0 ? scale : scale * Math.LOG2E, softcap },
          grid: [Math.ceil(tokens / matrices.rows), queryHeads, 1],
          work,
          cut: "first_head",
        },
      ];
    }
    const whole = wide && headSize % 4 === 0;
    const type = whole ? quadType(kv) : "u32";
    const side = sideOf(tokens, traits);
    const quads = Math.ceil(headSize / 4);
    const atOnce = 2 ** Math.floor(Math.log2(Math.min(4 * side, (40 * side) / quads)));
    return [
      {
        text,
        settings: {
          SIDE: side,
          QUADS: quads,
          COLUMNS: Math.ceil(quads / side),
          VALUES_AT_ONCE: atOnce,
          KV: kv,
          WIDE: whole,
        },
        bound: bind("attention", spec, {
          qkv: "f32",
          keys: type,
          values: type,
          offset: "i32",
          length: "i32",
          out: "f32",
          lse: "f32",
        }),
        uniforms: { tokens, query_heads: queryHeads, kv_heads: kvHeads, size: headSize, window, first_head: 0 },
        floats: { scale, softcap },
        grid: [Math.ceil(tokens / (4 * side)), queryHeads, 1],
        work,
        cut: "first_head",
      },
    ];
  },
};
