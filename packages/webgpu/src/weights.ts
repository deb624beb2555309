import { bytesOf, isQuantised, OpError, type OpName, type WeightDType, weightLayout } from "@ziggurat/tensor";
import type { Bound } from "./stage.js";

/** A range of rows of a weight matrix. */
export interface Part {
  readonly first: number;
  readonly count: number;
}

/** Parts start at multiples of this many rows, and so at whole words in every plane. */
const step = 32;

/**
 * Splits a matrix of `out` rows into parts that fit one binding of `limit` bytes. Throws an `OpError` if 32 rows do not
 * fit.
 */
export function partsOf(op: OpName, dtype: WeightDType, out: number, width: number, limit: number): readonly Part[] {
  const bytes = planeBytes(dtype, out, width);
  if (bytes + 256 <= limit) return [{ first: 0, count: out }];
  const rowBytes = planeBytes(dtype, 1, width);
  // Bindings start at a multiple of 256 bytes and end at one of 16.
  const most = Math.floor((limit - 512) / rowBytes / step) * step;
  if (most < step)
    throw new OpError(
      `${op}: ${step} rows of ${width} ${dtype} weights take ${step * rowBytes} bytes, and this device binds at most ${limit}`,
    );
  return Array.from({ length: Math.ceil(out / most) }, (_, i) => ({
    first: i * most,
    count: Math.min(most, out - i * most),
  }));
}

const planeBytes = (dtype: WeightDType, out: number, width: number) =>
  isQuantised(dtype) ? weightLayout(dtype, out, width).scales : bytesOf(dtype, [out, width]);

/**
 * Binds a part of a weight matrix: `weight`, and for quantised dtypes `scales` and `minimums`, which are planes of the
 * same operand.
 */
export function bindWeight(
  operand: string,
  dtype: WeightDType,
  out: number,
  width: number,
  type: string,
  part?: Part,
): Record<string, Bound> {
  const { first, count } = part ?? { first: 0, count: out };
  const plane = (type: string, offset: number, end: number): Bound => {
    const start = offset + ((end - offset) / out) * first;
    const bytes = first + count === out ? end - start : ((end - offset) / out) * count;
    return { type, written: false, operand, offset: start, bytes };
  };
  if (!isQuantised(dtype)) return { weight: plane(type, 0, bytesOf(dtype, [out, width])) };
  const { scales, minimums } = weightLayout(dtype, out, width);
  const scaleBytes = (out * width) / 16;
  return {
    weight: plane(type, 0, scales),
    scales: plane("u32", scales, scales + scaleBytes),
    ...(dtype === "q4_1" ? { minimums: plane("u32", minimums, minimums + scaleBytes) } : {}),
  };
}
