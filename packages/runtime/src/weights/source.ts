import { elementBytes, type WeightDType } from "@ziggurat/tensor";
import { FormatError } from "../error.js";
import type { FileSource } from "../files/files.js";

/** Block formats of GGUF that no backend computes with. Loading converts them to another dtype. */
export type LoadOnlyDType = "q5_0" | "q5_1" | "q4_K" | "q5_K" | "q6_K";

/** The dtypes of stored weights. */
export type StoredDType = WeightDType | LoadOnlyDType;

/** The dtypes that are stored as blocks of GGUF's format of the same name. */
export type BlockDType = Exclude<StoredDType, "f32" | "f16" | "bf16">;

/** Rows of axis 0, `from` up to but without `to`. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** One tensor of a weight file, which is not in memory until it is read. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** Ranges of rows must begin at multiples of this, and end at multiples or at the last row. Default 1. */
  readonly group?: number;
  /**
   * Reads the numbers of these rows, by default of all: row-major, little-endian, the blocks of a row one after the
   * other. `into` is as in {@link FileSource}. Rejects with a {@link FormatError}.
   */
  read(rows?: RowRange, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** The weights of a model, in any format. */
export interface WeightSource {
  /** For errors: the file or files. */
  readonly name: string;
  readonly names: readonly string[];
  /** Bytes by element type, as the files name it: BF16, Q4_K. */
  readonly types: ReadonlyMap<string, number>;
  has(tensor: string): boolean;
  /** Throws a {@link FormatError} if there is no such tensor, or if its dtype is not supported. */
  tensor(name: string): StoredTensor;
}

/** Weights and bytes of one block (struct block_* in ggml-common.h). */
export const blocks: Readonly<Record<BlockDType, { readonly weights: number; readonly bytes: number }>> = {
  q8_0: { weights: 32, bytes: 34 },
  q4_0: { weights: 32, bytes: 18 },
  q4_1: { weights: 32, bytes: 20 },
  q5_0: { weights: 32, bytes: 22 },
  q5_1: { weights: 32, bytes: 24 },
  q4_K: { weights: 256, bytes: 144 },
  q5_K: { weights: 256, bytes: 176 },
  q6_K: { weights: 256, bytes: 210 },
};

export const isBlocked = (dtype: StoredDType): dtype is BlockDType => dtype in blocks;

/** Bytes of `count` stored numbers; for blocks, `count` is a multiple of their weights. */
export const storedBytes = (dtype: StoredDType, count: number): number =>
  isBlocked(dtype) ? (count / blocks[dtype].weights) * blocks[dtype].bytes : count * elementBytes[dtype];

/** The `read` of a tensor of `shape` that takes `bytes` bytes of a file from byte `begin` on. */
export function rowReader(
  source: FileSource,
  begin: number,
  bytes: number,
  shape: readonly number[],
): StoredTensor["read"] {
  return (rows, into) => {
    if (!rows) return source.read(begin, bytes, into);
    const stride = bytes / shape[0]!;
    return source.read(begin + rows.from * stride, (rows.to - rows.from) * stride, into);
  };
}

/** Sums of bytes by element type. */
export function bytesByType(tensors: Iterable<readonly [type: string, bytes: number]>): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [type, bytes] of tensors) sums.set(type, (sums.get(type) ?? 0) + bytes);
  return sums;
}

/** The error for a tensor that a file lacks. */
export function missingTensor(file: string, tensor: string, present: ReadonlyMap<string, unknown>): FormatError {
  const some = [...present.keys()].slice(0, 3).join(", ");
  return new FormatError(
    `${file}: has no tensor "${tensor}"; it has ${present.size}${some ? `, such as ${some}` : ""}`,
  );
}
