import type { RowDType } from "@ziggurat/tensor";
import type { Settings } from "./shader.js";
import type { Traits } from "./stage.js";

/** Rows of a workgroup on matrix units, and settings of lib/matrix-rows.wgsl. */
export interface MatrixRows {
  readonly rows: number;
  readonly settings: Settings;
}

/**
 * How heads of `headSize` go to matrix units; undefined where they are too large for registers, or the device has no
 * such units or too little shared memory. As many rows to a subgroup as registers and shared memory hold.
 */
export function matrixRows(
  headSize: number,
  kv: RowDType,
  { matrix, workgroupBytes }: Traits,
  wide: boolean,
): MatrixRows | undefined {
  if (!matrix || !wide || kv === "f32" || headSize > 128 || headSize % 32 !== 0) return undefined;
  const stride = headSize / 8 + 1;
  const bytes = (high: number) => 16 * (64 * high * (Math.max(9, stride) + 5) + 2 * 32 * stride) + 1024;
  const high = headSize <= 64 && bytes(2) <= workgroupBytes ? 2 : 1;
  if (bytes(high) > workgroupBytes) return undefined;
  const sizes = {
    DEPTH: headSize / 16,
    GROUP: headSize / 32,
    OCTS_OF_LANE: (headSize / 16) * high,
    PIECES: headSize / 32,
    QUADS: 4 * high,
    PAIRS: 2 * high,
  };
  return { rows: 64 * high, settings: { MATRIX: true, SUBGROUP: 32, KV: kv, HIGH: high, ...sizes } };
}
