import type { RowDType } from "@ziggurat/tensor";
import type { Settings } from "./shader.js";
import type { Traits } from "./stage.js";

/**
 * Settings of lib/matrix-rows.wgsl for heads of `headSize`; undefined where heads are too large for registers, or the device has no matrix units. As many rows to
 * a subgroup as registers hold.
 */
export function matrixRows(headSize: number, kv: RowDType, { matrix, workgroupBytes }: Traits, wide: boolean): Settings | undefined {
  if (!matrix || !wide || kv === "f32" || headSize > 128 || headSize % 32 !== 0 || workgroupBytes < 48 * 1024) return undefined;
  const high = headSize <= 64 ? 2 : 1;
  return {
    MATRIX: true,
    SUBGROUP: 32,
    KV: kv,
    HIGH: high,
    DEPTH: headSize / 16,
    GROUP: headSize / 32,
    OCTS_OF_LANE: (headSize / 16) * high,
    PIECES: headSize / 32,
    QUADS: 4 * high,
    PAIRS: 2 * high,
  };
}
