import { FormatError } from "../error.js";

/** What a weight tensor may be stored as; a reader turns its format's own names into these. */
export type StoredDType = "f32" | "f16" | "bf16";

/** One tensor of a weight file. Nothing of it is in memory until it is read. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** The numbers, row-major, little-endian. Rejects with {@link FormatError}. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Where weights come from, whatever the format. */
export interface WeightSource {
  /** For errors: the file or files. */
  readonly name: string;
  readonly names: readonly string[];
  has(tensor: string): boolean;
  /** Throws {@link FormatError} where there is no such tensor, or where it is of a dtype that no model here computes with. */
  tensor(name: string): StoredTensor;
}

/** The error for a tensor that a file lacks. */
export function missingTensor(file: string, tensor: string, present: ReadonlyMap<string, unknown>): FormatError {
  const some = [...present.keys()].slice(0, 3).join(", ");
  return new FormatError(`${file}: has no tensor "${tensor}"; it has ${present.size}${some ? `, such as ${some}` : ""}`);
}
