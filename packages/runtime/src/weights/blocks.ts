import { halfTable } from "./halves.js";
import { type BlockDType, blocks } from "./source.js";

// GGUF's blocks as float32, with the arithmetic of the reference implementation (dequantize_row_* in ggml-quants.c). A
// scale times a quant is exact in float32, so the sum alone is rounded.

/** The float32 value of each half, by its bits. */
let floats: Float32Array | undefined;
function half(bytes: Uint8Array, at: number): number {
  floats ??= new Float32Array(halfTable().buffer);
  return floats[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

type Dequantise = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

/** 16 bytes of two 4-bit quants: byte j holds weight j in its low and weight j + 16 in its high half. */
const q4_0: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  for (let j = 0; j < 16; j++) {
    const pair = bytes[at + 2 + j]!;
    out[to + j] = scale * ((pair & 15) - 8);
    out[to + 16 + j] = scale * ((pair >> 4) - 8);
  }
};

const q4_1: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  const minimum = half(bytes, at + 2);
  for (let j = 0; j < 16; j++) {
    const pair = bytes[at + 4 + j]!;
    out[to + j] = scale * (pair & 15) + minimum;
    out[to + 16 + j] = scale * (pair >> 4) + minimum;
  }
};

const word = (bytes: Uint8Array, at: number) =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);

/** As q4_0, with the fifth bits in a separate word: bit j for weight j. */
const q5_0: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  const high = word(bytes, at + 2);
  for (let j = 0; j < 16; j++) {
    const pair = bytes[at + 6 + j]!;
    out[to + j] = scale * (((pair & 15) | (((high >>> j) & 1) << 4)) - 16);
    out[to + 16 + j] = scale * (((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
  }
};

const q5_1: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  const minimum = half(bytes, at + 2);
  const high = word(bytes, at + 4);
  for (let j = 0; j < 16; j++) {
    const pair = bytes[at + 8 + j]!;
    out[to + j] = scale * ((pair & 15) | (((high >>> j) & 1) << 4)) + minimum;
    out[to + 16 + j] = scale * ((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) + minimum;
  }
};

const q8_0: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  for (let j = 0; j < 32; j++) out[to + j] = scale * ((bytes[at + 2 + j]! << 24) >> 24);
};

/**
 * The 6-bit factor of the scale (`minimum` false) or of the minimum of each of eight runs of 32 weights, packed in 12
 * bytes from `at` on.
 */
export const factor = (bytes: Uint8Array, at: number, run: number, minimum: boolean): number => {
  const low = bytes[at + run + (minimum ? 4 : 0)]!;
  if (run < 4) return low & 63;
  const pair = bytes[at + run + 4]!;
  const top = bytes[at + run - (minimum ? 0 : 4)]! >> 6;
  return (minimum ? pair >> 4 : pair & 15) | (top << 4);
};

/** Eight runs of 32; two runs share 32 bytes, the first in the low halves. */
const q4_K: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  const minimum = half(bytes, at + 2);
  for (let run = 0; run < 8; run++) {
    const times = scale * factor(bytes, at + 4, run, false);
    const less = minimum * factor(bytes, at + 4, run, true);
    const quants = at + 16 + 32 * (run >> 1);
    const shift = 4 * (run & 1);
    for (let j = 0; j < 32; j++) out[to + 32 * run + j] = times * ((bytes[quants + j]! >> shift) & 15) - less;
  }
};

/** As q4_K, with the fifth bits in 32 separate bytes: bit `run` of byte j. */
const q5_K: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at);
  const minimum = half(bytes, at + 2);
  for (let run = 0; run < 8; run++) {
    const times = scale * factor(bytes, at + 4, run, false);
    const less = minimum * factor(bytes, at + 4, run, true);
    const quants = at + 48 + 32 * (run >> 1);
    const shift = 4 * (run & 1);
    for (let j = 0; j < 32; j++) {
      const quant = ((bytes[quants + j]! >> shift) & 15) | (((bytes[at + 16 + j]! >> run) & 1) << 4);
      out[to + 32 * run + j] = times * quant - less;
    }
  }
};

/**
 * Two halves of 128: 64 bytes of low bits, 32 of high bits (two a weight), 8 signed scales, one for every 16 weights.
 */
const q6_K: Dequantise = (bytes, at, out, to) => {
  const scale = half(bytes, at + 208);
  for (let run = 0; run < 8; run++) {
    const quarter = run & 3;
    const low = at + 64 * (run >> 2) + 32 * (quarter & 1);
    const high = at + 128 + 32 * (run >> 2);
    const scales = at + 192 + 2 * run;
    for (let j = 0; j < 32; j++) {
      const bits = ((bytes[low + j]! >> (4 * (quarter >> 1))) & 15) | (((bytes[high + j]! >> (2 * quarter)) & 3) << 4);
      out[to + 32 * run + j] = scale * ((bytes[scales + (j >> 4)]! << 24) >> 24) * (bits - 32);
    }
  }
};

const byDType: Readonly<Record<BlockDType, Dequantise>> = { q4_0, q4_1, q5_0, q5_1, q8_0, q4_K, q5_K, q6_K };

/** Writes numbers `from` to `from + count` of stored blocks to `out`. Both are multiples of a block's weights. */
export function dequantise(bytes: Uint8Array, dtype: BlockDType, from: number, count: number, out: Float32Array): void {
  const one = byDType[dtype];
  const size = blocks[dtype];
  for (let done = 0; done < count; done += size.weights)
    one(bytes, ((from + done) / size.weights) * size.bytes, out, done);
}
