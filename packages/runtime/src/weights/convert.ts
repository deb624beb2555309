import { elementBytes, isQuantised, type WeightDType } from "@ziggurat/tensor";
import { FormatError } from "../error.js";
import { brainBits, halfBits, toFloat32 } from "./float.js";
import { quantise } from "./quantise.js";
import type { StoredDType } from "./source.js";

/** Numbers turned at a time: what passes between two dtypes stays this small. */
const chunk = 1 << 16;

/**
 * A stored tensor's bytes in the dtype and layout that a backend takes. `shape` is [..., width]; quantised dtypes see [out, width], with `out` the product of
 * the other axes. Returns `bytes` itself where nothing has to change. Throws {@link FormatError} where the byte count does not fit the shape, where a number
 * is not finite and must be quantised, and where `width` does not suit the blocks.
 */
export function convert(bytes: Uint8Array, from: StoredDType, to: WeightDType, shape: readonly number[], name = "tensor"): Uint8Array {
  const count = shape.reduce((a, b) => a * b, 1);
  if (bytes.byteLength !== count * elementBytes[from]) {
    throw new FormatError(`${name}: ${bytes.byteLength} bytes; shape [${shape.join(", ")}] of ${from} takes ${count * elementBytes[from]}`);
  }
  if (from === to) return bytes;
  if (isQuantised(to)) {
    const width = shape.at(-1) ?? 1;
    return quantise(bytes, from, to, width === 0 ? 0 : count / width, width, name);
  }
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
