import { toFloat16 } from "@ziggurat/tensor";

// A plain quantiser into llama.cpp's K-quants (struct block_q4_K and its kin in ggml-common.h): valid blocks, not the
// best ones.

export type KQuant = "q4_K" | "q5_K" | "q6_K";
const sizes = { q4_K: 144, q5_K: 176, q6_K: 210 } as const;
const clamp = (value: number, most: number) => Math.max(0, Math.min(most, Math.round(value)));

/** Blocks of 256 weights, one after the other. */
export function quantise(values: Float32Array, kind: KQuant): Uint8Array<ArrayBuffer> {
  const size = sizes[kind];
  const out = new Uint8Array((values.length / 256) * size);
  for (let block = 0; block < values.length / 256; block++) {
    const weights = values.subarray(256 * block, 256 * block + 256);
    const bytes = out.subarray(size * block, size * (block + 1));
    if (kind === "q6_K") sixBits(weights, bytes);
    else withMinimums(weights, bytes, kind === "q5_K");
  }
  return out;
}

const halfAt = (bytes: Uint8Array, at: number, value: number): void => {
  const bits = toFloat16(value);
  bytes[at] = bits & 255;
  bytes[at + 1] = bits >> 8;
};

/** Eight runs of 32, each with a 6-bit scale and a 6-bit minimum; quants of 4 or 5 bits. */
function withMinimums(weights: Float32Array, bytes: Uint8Array, five: boolean): void {
  const top = five ? 31 : 15;
  const runs = Array.from({ length: 8 }, (_, run) => {
    const part = weights.subarray(32 * run, 32 * run + 32);
    const minimum = Math.max(0, -Math.min(...part));
    return { part, minimum, scale: Math.max(0, Math.max(...part) + minimum) / top };
  });
  const d = Math.max(...runs.map(({ scale }) => scale)) / 63 || 1e-6;
  const dmin = Math.max(...runs.map(({ minimum }) => minimum)) / 63 || 1e-6;
  halfAt(bytes, 0, d);
  halfAt(bytes, 2, dmin);
  const quants = five ? 48 : 16;
  runs.forEach(({ part, minimum, scale }, run) => {
    const [s, m] = [clamp(scale / d, 63), clamp(minimum / dmin, 63)];
    if (run < 4) {
      bytes[4 + run]! |= s;
      bytes[8 + run]! |= m;
    } else {
      bytes[8 + run]! |= (s & 15) | ((m & 15) << 4);
      bytes[run]! |= (s >> 4) << 6;
      bytes[4 + run]! |= (m >> 4) << 6;
    }
    part.forEach((weight, j) => {
      const quant = s === 0 ? 0 : clamp((weight + dmin * m) / (d * s), top);
      bytes[quants + 32 * (run >> 1) + j]! |= (quant & 15) << (4 * (run & 1));
      if (five) bytes[16 + j]! |= (quant >> 4) << run;
    });
  });
}

/** Sixteen runs of 16, each with an 8-bit scale; quants of 6 bits about 32. */
function sixBits(weights: Float32Array, bytes: Uint8Array): void {
  const scales = Array.from(
    { length: 16 },
    (_, run) => Math.max(...weights.subarray(16 * run, 16 * run + 16).map(Math.abs)) / 31,
  );
  const d = Math.max(...scales) / 127 || 1e-6;
  halfAt(bytes, 208, d);
  scales.forEach((scale, run) => {
    bytes[192 + run] = clamp(scale / d, 127);
  });
  weights.forEach((weight, i) => {
    const s = bytes[192 + (i >> 4)]!;
    const quant = s === 0 ? 32 : clamp(weight / (d * s) + 32, 63);
    // Halves of 128; in each, four quarters of 32: their low bits share bytes two by two, their high bits four by four.
    const [half, quarter, j] = [i >> 7, (i >> 5) & 3, i & 31];
    bytes[64 * half + 32 * (quarter & 1) + j]! |= (quant & 15) << (4 * (quarter >> 1));
    bytes[128 + 32 * half + j]! |= (quant >> 4) << (2 * quarter);
  });
}
