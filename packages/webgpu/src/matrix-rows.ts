import type { RowDType } from "@ziggurat/tensor";
import type { Settings } from "./shader.js";
import type { Traits } from "./stage.js";

/** Rows of a subgroup in units of 16, and rows of the other side that are staged at a time. */
type Layout = readonly [high: number, staged: number];

/** Layouts from the fastest on. Sums of attention with heads of more than 64 fill the registers at 16 rows. */
const layouts: Readonly<Record<"attention" | "watch", readonly Layout[]>> = {
  attention: [
    [2, 32],
    [1, 64],
    [1, 32],
  ],
  watch: [
    [2, 32],
    [1, 32],
  ],
};

interface MatrixRows {
  /** Rows of a workgroup, which stay in registers. */
  readonly rows: number;
  /** Settings of lib/matrix-rows.wgsl. */
  readonly settings: Settings;
}

/**
 * Settings for attention, or its watch sums, on matrix units with heads of `headSize`. Undefined if the heads are too
 * large for registers, or the device has no matrix units or too little workgroup memory. A subgroup keeps as many rows
 * as registers and workgroup memory allow.
 */
export function matrixRows(
  op: "attention" | "watch",
  headSize: number,
  kv: RowDType,
  { matrix, workgroupBytes }: Traits,
  wide: boolean,
): MatrixRows | undefined {
  if (!matrix || !wide || kv === "f32" || headSize > 128 || headSize % 32 !== 0) return undefined;
  const stride = headSize / 8 + 1;
  const attention = op === "attention";
  const bytes = (high: number, staged: number) => {
    const scores = 64 * high * (staged / 4 + 1);
    return 16 * (attention ? 64 * stride + scores : staged * stride + Math.max(scores, 64 * stride)) + 1024;
  };
  const fits = ([high, staged]: Layout) =>
    (high === 1 || headSize <= 64 || !attention) && bytes(high, staged) <= workgroupBytes;
  const layout = layouts[op].find(fits);
  if (!layout) return undefined;
  const [high, staged] = layout;
  const settings = {
    ...{ MATRIX: true, SUBGROUP: 32, KV: kv, HIGH: high, STAGED: staged, SHARED: staged === 64 },
    ...{ HALVES: headSize / 32, BLOCKS: staged / 16 },
    ...{ PIECES: (staged * headSize) / 1024, PAIRS: (staged * high) / 16 },
  };
  return { rows: 64 * high, settings };
}
