import { bytesOf, isQuantised, type WeightDType, weightLayout } from "@ziggurat/tensor";
import type { Bound } from "./stage.js";

/** A weight matrix as bindings: `weight`, and for quantised dtypes `scales` and `minimums`, the planes of the same operand. */
export function bindWeight(operand: string, dtype: WeightDType, out: number, width: number, type: string): Record<string, Bound> {
  const plane = (type: string, offset: number, end: number): Bound => ({ type, written: false, operand, offset, bytes: end - offset });
  if (!isQuantised(dtype)) return { weight: plane(type, 0, bytesOf(dtype, [out, width])) };
  const { scales, minimums, bytes } = weightLayout(dtype, out, width);
  return {
    weight: plane(type, 0, scales),
    scales: plane("u32", scales, minimums),
    ...(dtype === "q4_1" ? { minimums: plane("u32", minimums, bytes) } : {}),
  };
}
