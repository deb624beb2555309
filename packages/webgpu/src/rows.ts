import { elementBytes, OpError, type OpName, type RowDType } from "@ziggurat/tensor";

/** 4-byte words of one row of K or V. Throws an `OpError` if 16-bit rows would share a word. */
export function wordsOf(op: OpName, dtype: RowDType, size: number): number {
  const bytes = size * elementBytes[dtype];
  if (bytes % 4 !== 0)
    throw new OpError(
      `${op}: rows of ${size} ${dtype} numbers would share 4-byte words on WebGPU; use an even size, or f32`,
    );
  return bytes / 4;
}

/** The element type of K or V if four numbers are read at a time. */
export const quadType = (dtype: RowDType): string => (dtype === "f32" ? "vec4<u32>" : "vec2<u32>");
