import { blockSize, weightLayout } from "@ziggurat/tensor";
import { FormatError } from "../error.js";
import { halfBits, toFloat32 } from "./float.js";
import type { StoredDType } from "./source.js";

// Quantisation to blocks of 32 weights with one scale, with the arithmetic of GGUF's reference quantisers
// (quantize_row_q8_0_ref and quantize_row_q4_0_ref in ggml-quants.c): each step is rounded to float32 as there. Blocks
// are laid out in planes (see weightLayout).

/** Weights that are quantised at a time. */
const chunk = 1 << 15;

/**
 * Quantises a stored matrix [out, width]. `q8_0`: the scale is max|w| / 127, as f16, and a weight becomes w / scale,
 * rounded half away from zero. `q4_0`: the scale is the weight of greatest size over -8, and a weight becomes
 * floor(w / scale + 8.5), at most 15. Weights are divided by the scale before it is rounded to f16. `row` is that of
 * the first weight, for errors. Throws a {@link FormatError} if `width` is not a multiple of 32, if a weight is not
 * finite, or if a scale is beyond f16.
 */
export function quantise(
  bytes: Uint8Array,
  from: StoredDType,
  to: "q8_0" | "q4_0" | "q4_1",
  out: number,
  width: number,
  name = "tensor",
  row = 0,
): Uint8Array {
  if (to === "q4_1") throw new FormatError(`${name}: weights are quantised to q8_0 or q4_0, not to q4_1`);
  if (width % blockSize !== 0) {
    throw new FormatError(
      `${name}: rows of ${width} weights cannot be cut into blocks of ${blockSize}; keep them in bf16`,
    );
  }
  const layout = weightLayout(to, out, width);
  const result = new Uint8Array(layout.bytes);
  const scales = new Uint16Array(result.buffer, layout.scales, (out * width) / blockSize);
  const numbers = new Float32Array(Math.min(chunk, out * width));
  for (let start = 0; start < out * width; start += chunk) {
    const count = Math.min(chunk, out * width - start);
    toFloat32(bytes, from, start, count, numbers);
    const bad = to === "q8_0" ? q8(numbers, count, start, result, scales) : q4(numbers, count, start, result, scales);
    if (bad >= 0) {
      const at = `[${row + Math.floor(bad / width)}, ${bad % width}]`;
      throw new FormatError(`${name}: the block at ${at} holds a number that is not finite, or too great for ${to}`);
    }
  }
  return result;
}

const scale = new Float32Array(1);
const scaleBits = new Uint32Array(scale.buffer);

/** Returns the first weight of a block that cannot be stored, or -1. */
function q8(numbers: Float32Array, count: number, start: number, result: Uint8Array, scales: Uint16Array): number {
  for (let block = 0; block < count; block += blockSize) {
    let most = 0;
    for (let i = block; i < block + blockSize; i++) {
      const size = Math.abs(numbers[i]!);
      if (size > most) most = size;
      else if (Number.isNaN(size)) return start + block;
    }
    scale[0] = most / 127;
    // From 65520 on, f16 rounds to infinity.
    if (scale[0] >= 65520) return start + block;
    const inverse = most === 0 ? 0 : Math.fround(1 / scale[0]);
    scales[(start + block) / blockSize] = halfBits(scaleBits[0]!);
    for (let i = block; i < block + blockSize; i++) {
      const quotient = Math.fround(numbers[i]! * inverse);
      result[start + i] = (quotient < 0 ? quotient - 0.5 : quotient + 0.5) | 0;
    }
  }
  return -1;
}

/** Returns the first weight of a block that cannot be stored, or -1. */
function q4(numbers: Float32Array, count: number, start: number, result: Uint8Array, scales: Uint16Array): number {
  const half = blockSize / 2;
  for (let block = 0; block < count; block += blockSize) {
    let most = 0;
    let extreme = 0;
    for (let i = block; i < block + blockSize; i++) {
      const size = Math.abs(numbers[i]!);
      if (size > most) {
        most = size;
        extreme = numbers[i]!;
      } else if (Number.isNaN(size)) return start + block;
    }
    scale[0] = extreme / -8;
    if (Math.abs(scale[0]) >= 65520) return start + block;
    const inverse = most === 0 ? 0 : Math.fround(1 / scale[0]);
    scales[(start + block) / blockSize] = halfBits(scaleBits[0]!);
    for (let i = 0; i < half; i++) {
      const low = Math.min(15, Math.fround(Math.fround(numbers[block + i]! * inverse) + 8.5)) | 0;
      const high = Math.min(15, Math.fround(Math.fround(numbers[block + half + i]! * inverse) + 8.5)) | 0;
      result[(start + block) / 2 + i] = low | (high << 4);
    }
  }
  return -1;
}
