import { weightLayout } from "@ziggurat/tensor";
import { factor } from "./blocks.js";
import { halfBits } from "./float.js";
import { halfTable } from "./halves.js";
import type { StoredDType } from "./source.js";

// Stored blocks as the planes that backends take (see weightLayout), with the same quants. q5_0 becomes q8_0 without
// loss: its quants are whole numbers from -16 to 15. q4_K becomes q4_1: the scale and the minimum of each 32 weights
// are products of a half and a whole number below 64, rounded to halves, with a relative error of 2^-11.

type Repack = (bytes: Uint8Array, out: number, width: number, into?: Uint8Array<ArrayBuffer>) => Uint8Array;

const planes = (dtype: "q8_0" | "q4_0" | "q4_1", out: number, width: number, into?: Uint8Array<ArrayBuffer>) => {
  const layout = weightLayout(dtype, out, width);
  const fits = into !== undefined && into.byteLength >= layout.bytes && into.byteOffset % 4 === 0;
  const result = fits ? into.subarray(0, layout.bytes) : new Uint8Array(layout.bytes);
  const count = (out * width) / 32;
  const halves = (at: number) => new Uint16Array(result.buffer, result.byteOffset + at, count);
  return {
    result,
    count,
    scales: halves(layout.scales),
    minimums: dtype === "q4_1" ? halves(layout.minimums) : new Uint16Array(0),
  };
};

/** Bytes as halves or words. Bytes that were read from a file are aligned already. */
const halvesOf = (bytes: Uint8Array) => {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, bytes.byteLength >> 1);
};
const wordsOf = (bytes: Uint8Array) => {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, bytes.byteLength >> 2);
};

/**
 * Blocks of one scale and `size` words of quants. Two blocks are a whole number of words: the quants of the first are
 * not aligned to words, those of the second are.
 */
const oneScale =
  (dtype: "q8_0" | "q4_0", size: number): Repack =>
  (bytes, out, width, into) => {
    const { result, count, scales } = planes(dtype, out, width, into);
    const from = wordsOf(bytes);
    const quants = new Uint32Array(result.buffer, result.byteOffset, size * count);
    const even = count - (count % 2);
    let at = 0;
    let to = 0;
    for (let block = 0; block < even; block += 2) {
      let word = from[at++]!;
      scales[block] = word;
      for (let i = 0; i < size; i++) {
        const next = from[at++]!;
        quants[to++] = (word >>> 16) | (next << 16);
        word = next;
      }
      scales[block + 1] = word >>> 16;
      for (let i = 0; i < size; i++) quants[to++] = from[at++]!;
    }
    if (even < count) {
      const last = halvesOf(bytes);
      const halves = new Uint16Array(result.buffer, result.byteOffset, 2 * size * count);
      scales[even] = last[2 * at]!;
      for (let i = 0; i < 2 * size; i++) halves[2 * to + i] = last[2 * at + 1 + i]!;
    }
    return result;
  };

const q4_1: Repack = (bytes, out, width, into) => {
  const { result, count, scales, minimums } = planes("q4_1", out, width, into);
  const from = wordsOf(bytes);
  const quants = new Uint32Array(result.buffer, result.byteOffset, 4 * count);
  for (let block = 0; block < count; block++) {
    const at = 5 * block;
    const both = from[at]!;
    scales[block] = both & 0xffff;
    minimums[block] = both >>> 16;
    for (let i = 0; i < 4; i++) quants[4 * block + i] = from[at + 1 + i]!;
  }
  return result;
};

const q5_0: Repack = (bytes, out, width, into) => {
  const { result, count, scales } = planes("q8_0", out, width, into);
  for (let block = 0; block < count; block++) {
    const at = 22 * block;
    const to = 32 * block;
    scales[block] = bytes[at]! | (bytes[at + 1]! << 8);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 6 + j]!;
      const low = (bytes[at + 2 + (j >> 3)]! >> (j & 7)) & 1;
      const high = (bytes[at + 4 + (j >> 3)]! >> (j & 7)) & 1;
      result[to + j] = ((pair & 15) | (low << 4)) - 16;
      result[to + 16 + j] = ((pair >> 4) | (high << 4)) - 16;
    }
  }
  return result;
};

const q4_K: Repack = (bytes, out, width, into) => {
  const { result, count, scales, minimums } = planes("q4_1", out, width, into);
  const floats = new Float32Array(halfTable().buffer);
  const number = new Float32Array(1);
  const bits = new Uint32Array(number.buffer);
  const rounded = (value: number) => {
    number[0] = value;
    return halfBits(bits[0]!);
  };
  for (let block = 0; block < count; block++) {
    const run = block & 7;
    const at = 144 * (block >> 3);
    scales[block] = rounded(floats[bytes[at]! | (bytes[at + 1]! << 8)]! * factor(bytes, at + 4, run, false));
    minimums[block] = rounded(-floats[bytes[at + 2]! | (bytes[at + 3]! << 8)]! * factor(bytes, at + 4, run, true));
    const quants = at + 16 + 32 * (run >> 1);
    const shift = 4 * (run & 1);
    for (let j = 0; j < 16; j++) {
      result[16 * block + j] = ((bytes[quants + j]! >> shift) & 15) | (((bytes[quants + 16 + j]! >> shift) & 15) << 4);
    }
  }
  return result;
};

/** Moves the quants of stored blocks to planes of a dtype. Undefined if that dtype cannot hold them. */
export function repackOf(from: StoredDType, to: "q8_0" | "q4_0" | "q4_1"): Repack | undefined {
  const all: Readonly<Partial<Record<StoredDType, readonly [to: string, repack: Repack]>>> = {
    q8_0: ["q8_0", oneScale("q8_0", 8)],
    q4_0: ["q4_0", oneScale("q4_0", 4)],
    q4_1: ["q4_1", q4_1],
    q5_0: ["q8_0", q5_0],
    q4_K: ["q4_1", q4_K],
  };
  const found = all[from];
  return found && found[0] === to ? found[1] : undefined;
}
