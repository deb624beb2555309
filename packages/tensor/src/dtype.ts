/**
 * Element types. `q8_0`, `q4_0` and `q4_1` carry the numbers of the GGUF formats of the same names, laid out by plane
 * instead of by block (see {@link weightLayout}), so that vector loads are aligned on every backend.
 */
export type DType = "f32" | "f16" | "bf16" | "i32" | "q8_0" | "q4_0" | "q4_1";

/** What rows of K and V may be stored in. */
export type RowDType = "f32" | "f16" | "bf16";

/** What weight matrices may be stored in. */
export type WeightDType = "f32" | "f16" | "bf16" | "q8_0" | "q4_0" | "q4_1";

export const rowDTypes = ["f32", "f16", "bf16"] as const satisfies readonly RowDType[];
export const weightDTypes = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"] as const satisfies readonly WeightDType[];

/** Weights that share one scale, along the input axis. */
export const blockSize = 32;

/** Bytes of one element of a plain dtype. */
export const elementBytes = { f32: 4, i32: 4, f16: 2, bf16: 2 } as const;

export const isQuantised = (dtype: DType): dtype is "q8_0" | "q4_0" | "q4_1" =>
  dtype === "q8_0" || dtype === "q4_0" || dtype === "q4_1";

/** Where the planes of a quantised matrix [out, in] start, in bytes; every plane starts at a multiple of 16. */
export interface WeightLayout {
  /**
   * `q8_0`: one signed byte a weight, row-major. `q4_*`: 16 bytes a block; byte j holds weight j in its low and weight
   * j + 16 in its high half.
   */
  readonly quants: 0;
  /**
   * One f16 a block: [out, in / 32]. weight = scale * q (`q8_0`), scale * (q - 8) (`q4_0`), scale * q + minimum
   * (`q4_1`).
   */
  readonly scales: number;
  /** `q4_1`: one f16 a block: [out, in / 32]. For the other dtypes equal to `bytes`. */
  readonly minimums: number;
  readonly bytes: number;
}

const product = (numbers: readonly number[]) => numbers.reduce((a, b) => a * b, 1);
const align = (bytes: number) => Math.ceil(bytes / 16) * 16;

/** The planes of a quantised weight matrix. Throws where `width` is no multiple of 32. */
export function weightLayout(dtype: "q8_0" | "q4_0" | "q4_1", out: number, width: number): WeightLayout {
  if (width % blockSize !== 0) {
    throw new RangeError(
      `${dtype}: rows of ${width} weights cannot be cut into blocks of ${blockSize}; store them in bf16`,
    );
  }
  const plane = align(2 * out * (width / blockSize));
  const scales = align(dtype === "q8_0" ? out * width : (out * width) / 2);
  const minimums = scales + plane;
  return { quants: 0, scales, minimums, bytes: dtype === "q4_1" ? minimums + plane : minimums };
}

/** Bytes of a tensor of `shape`; for quantised dtypes the shape is [out, in]. */
export function bytesOf(dtype: DType, shape: readonly number[]): number {
  if (isQuantised(dtype)) return weightLayout(dtype, product(shape.slice(0, -1)), shape.at(-1)!).bytes;
  return product(shape) * elementBytes[dtype];
}
