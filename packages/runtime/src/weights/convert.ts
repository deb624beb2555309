import { elementBytes, isQuantised, type WeightDType } from "@ziggurat/tensor";
import { FormatError } from "../error.js";
import { knownOptions, type OptionNames } from "../options.js";
import { brainBits, halfBits, toFloat32 } from "./float.js";
import { quantise } from "./quantise.js";
import { repackOf } from "./repack.js";
import { blocks, isBlocked, type StoredDType, storedBytes } from "./source.js";

/** Numbers that are converted at a time, by way of float32. */
const chunk = 1 << 16;

/** Whether the conversion computes with every number, rather than moving bytes. */
export const computes = (from: StoredDType, to: WeightDType): boolean =>
  from !== to && !(isQuantised(to) && repackOf(from, to) !== undefined);

export interface ConvertOptions {
  /** Overwritten with the result if it is large enough and aligned. */
  readonly into?: Uint8Array<ArrayBuffer>;
  /** The row of the first number, for errors. Default 0. */
  readonly row?: number;
}

const convertOptions: OptionNames<ConvertOptions> = { into: true, row: true };

/**
 * Converts a stored tensor's bytes to the dtype and layout that a backend takes. `shape` is [..., width]; quantised
 * dtypes see [out, width], with `out` the product of the other axes. Returns `bytes` itself if nothing has to change.
 * Stored blocks keep their quants if `to` can hold them, and are quantised anew otherwise. Throws a {@link FormatError}
 * if the byte count does not fit the shape, if a number must be quantised and is not finite, or if `width` does not
 * suit the blocks. It runs to its end: convert large tensors by rows.
 */
export function convert(
  bytes: Uint8Array,
  from: StoredDType,
  to: WeightDType,
  shape: readonly number[],
  name = "tensor",
  options: ConvertOptions = {},
): Uint8Array {
  knownOptions("convert", options, convertOptions);
  const { into, row = 0 } = options;
  const count = shape.reduce((a, b) => a * b, 1);
  const width = shape.at(-1) ?? 1;
  if (isBlocked(from) && width % blocks[from].weights !== 0) {
    throw new FormatError(
      `${name}: rows of ${width} numbers are no whole number of ${from} blocks of ${blocks[from].weights}`,
    );
  }
  const stored = storedBytes(from, count);
  if (bytes.byteLength !== stored) {
    throw new FormatError(`${name}: ${bytes.byteLength} bytes; shape [${shape.join(", ")}] of ${from} takes ${stored}`);
  }
  if (isQuantised(to)) {
    const out = width === 0 ? 0 : count / width;
    return repackOf(from, to)?.(bytes, out, width, into) ?? quantise(bytes, from, to, out, width, name, row);
  }
  if (from === to) return bytes;
  const out = new Uint8Array(count * elementBytes[to]);
  if (to === "f32") {
    toFloat32(bytes, from, 0, count, new Float32Array(out.buffer));
    return out;
  }
  const target = new Uint16Array(out.buffer);
  const numbers = new Float32Array(Math.min(chunk, count));
  const bits = new Uint32Array(numbers.buffer);
  for (let start = 0; start < count; start += chunk) {
    const length = Math.min(chunk, count - start);
    toFloat32(bytes, from, start, length, numbers);
    if (to === "f16") for (let i = 0; i < length; i++) target[start + i] = halfBits(bits[i]!);
    else for (let i = 0; i < length; i++) target[start + i] = brainBits(bits[i]!);
  }
  return out;
}
