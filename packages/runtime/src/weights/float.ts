import { elementBytes } from "@ziggurat/tensor";
import { dequantise } from "./blocks.js";
import { halfTable } from "./halves.js";
import { isBlocked, type StoredDType } from "./source.js";

// Conversions between float32 and 16-bit floats. Rounding is to nearest, ties to even. Numbers in files and in memory
// are little-endian.

/** The bits of the half nearest to a float32, given as bits. */
export function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size >= 0x38800000) return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  if (size <= 0x33000000) return sign;
  const shift = 126 - (size >>> 23);
  const fraction = (size & 0x7fffff) | 0x800000;
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (kept + (rest > middle || (rest === middle && (kept & 1) === 1) ? 1 : 0));
}

/** The bits of the bfloat16 nearest to a float32, given as bits. */
export const brainBits = (bits: number): number =>
  (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;

/** A view of `bytes` as words of 16 or 32 bits. Copies bytes that are not aligned to words. */
function words(bytes: Uint8Array, size: 2): Uint16Array;
function words(bytes: Uint8Array, size: 4): Uint32Array;
function words(bytes: Uint8Array, size: 2 | 4): Uint16Array | Uint32Array {
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const count = bytes.byteLength / size;
  return size === 2
    ? new Uint16Array(aligned.buffer, aligned.byteOffset, count)
    : new Uint32Array(aligned.buffer, aligned.byteOffset, count);
}

/** Writes numbers `from` to `from + count` of a stored tensor to `out`: of blocks, whole ones. */
export function toFloat32(bytes: Uint8Array, dtype: StoredDType, from: number, count: number, out: Float32Array): void {
  if (isBlocked(dtype)) {
    dequantise(bytes, dtype, from, count, out);
    return;
  }
  const bits = new Uint32Array(out.buffer, out.byteOffset, count);
  const size = elementBytes[dtype];
  const part = bytes.subarray(from * size, (from + count) * size);
  if (dtype === "f32") bits.set(words(part, 4));
  else if (dtype === "bf16") {
    const source = words(part, 2);
    for (let i = 0; i < count; i++) bits[i] = source[i]! << 16;
  } else {
    const source = words(part, 2);
    const table = halfTable();
    for (let i = 0; i < count; i++) bits[i] = table[source[i]!]!;
  }
}
