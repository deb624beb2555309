import { fromFloat16, isQuantised, toFloat16, type WeightDType, weightLayout } from "@ziggurat/tensor";
import type { Random } from "../random.js";

// Random data that several families of ops share.

/** Weights [out, width]: numbers, or for quantised dtypes bytes with every possible quant. */
export function weights(random: Random, dtype: WeightDType, out: number, width: number): ArrayLike<number> {
  if (!isQuantised(dtype)) return random.normal(out * width);
  const { scales, bytes } = weightLayout(dtype, out, width);
  const data = Uint8Array.from(random.list(bytes, () => random.int(256)));
  const halves = new DataView(data.buffer);
  // Scales and minimums: both signs, some zero, a few subnormal.
  for (let at = scales; at + 1 < bytes; at += 2) {
    const size = random.pick([0, 2 ** -20, 0.01, 0.05, 0.05, 0.1]);
    halves.setUint16(at, toFloat16(size * (2 * random.next() - 1)), true);
  }
  return data;
}

/** cos, then sin of random angles for every position: [rows, rotary]. */
export function angles(random: Random, rows: number, rotary: number): number[] {
  return Array.from({ length: rows }).flatMap(() => {
    const turn = random.uniform(rotary / 2, Math.PI);
    return [...turn.map(Math.cos), ...turn.map(Math.sin)];
  });
}

/** Regions of an arena for heads that need `sizes` rows: in random order, with gaps. */
export function regions(random: Random, sizes: readonly number[], arenaRows: number): number[] {
  const offset = new Array<number>(sizes.length).fill(0);
  let spare = arenaRows - sizes.reduce((a, b) => a + b, 0);
  let next = 0;
  for (const head of random.permutation(sizes.length)) {
    const gap = random.int(Math.min(2, spare) + 1);
    spare -= gap;
    offset[head] = next + gap;
    next = offset[head]! + sizes[head]!;
  }
  return offset;
}

/** Positions in the text of the rows of an arena: all different, in no order. */
export const positions = (random: Random, rows: number): number[] =>
  random.permutation(rows).map((p) => 3 * p + random.int(3));

export const sum = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0);

const dense = new WeakMap<Uint8Array, Float64Array>();

/** The numbers of a quantised matrix [out, width]. */
export function dequantised(
  bytes: Uint8Array,
  dtype: "q8_0" | "q4_0" | "q4_1",
  out: number,
  width: number,
): Float64Array {
  const known = dense.get(bytes);
  if (known) return known;
  const { scales, minimums } = weightLayout(dtype, out, width);
  const halves = new DataView(bytes.buffer, bytes.byteOffset);
  const half = (plane: number, block: number) => fromFloat16(halves.getUint16(plane + 2 * block, true));
  const numbers = new Float64Array(out * width);
  for (let i = 0; i < numbers.length; i++) {
    const block = i >> 5;
    const nibble = (bytes[block * 16 + (i & 15)]! >> (i & 16 ? 4 : 0)) & 15;
    if (dtype === "q8_0") numbers[i] = half(scales, block) * halves.getInt8(i);
    else if (dtype === "q4_0") numbers[i] = half(scales, block) * (nibble - 8);
    else numbers[i] = half(scales, block) * nibble + half(minimums, block);
  }
  dense.set(bytes, numbers);
  return numbers;
}

/** Sets x [heads, capacity, size] to NaN beyond each head's length: no op may use it. */
export function poisoned(
  x: readonly number[],
  lengths: readonly number[],
  share: number,
  capacity: number,
  size = 1,
): number[] {
  return x.map((value, i) =>
    Math.floor(i / size) % capacity < lengths[Math.floor(i / size / capacity / share)]! ? value : Number.NaN,
  );
}
