import type { Backend } from "@ziggurat/tensor";
import { CacheError, type RopeTable } from "./shape.js";

/**
 * Frequencies of rotary embedding, float32: theta^(-2j / rotary) for j < rotary / 2 (Su et al., 2021, arXiv
 * 2104.09864).
 */
export function rotaryFrequencies(theta: number, rotary: number): Float32Array {
  if (!(theta > 0) || !Number.isFinite(theta))
    throw new CacheError(`rope theta is ${theta}; it must be a number above 0`);
  if (!Number.isSafeInteger(rotary) || rotary < 2 || rotary % 2 !== 0)
    throw new CacheError(`${rotary} rotary numbers; there must be an even number of them`);
  return Float32Array.from({ length: rotary / 2 }, (_, j) => 1 / theta ** ((2 * j) / rotary));
}

export interface OwnedRopeTable extends RopeTable {
  free(): void;
}

/**
 * Cosines and sines of positions 0 .. rows - 1, times `factor`. Angles are rounded to float32 before their cosine is
 * taken, as the models that are rotated with them were trained (transformers' rotary embedding).
 */
export function ropeTable(backend: Backend, frequencies: Float32Array, rows: number, factor = 1): OwnedRopeTable {
  const half = frequencies.length;
  const data = new Float32Array(rows * 2 * half);
  for (let position = 0; position < rows; position++) {
    for (let j = 0; j < half; j++) {
      const angle = Math.fround(position * frequencies[j]!);
      data[position * 2 * half + j] = Math.cos(angle) * factor;
      data[position * 2 * half + half + j] = Math.sin(angle) * factor;
    }
  }
  const buffer = backend.allocate(data.byteLength, "rope");
  const slice = { buffer, offset: 0 };
  backend.write(slice, data);
  return { slice, rows, rotary: 2 * half, free: () => backend.free(buffer) };
}
