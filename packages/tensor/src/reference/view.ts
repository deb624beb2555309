import type { Operands, OpName, Spec } from "../catalogue.js";
import { OpError } from "../check.js";
import { blockSize, bytesOf, type DType, isQuantised, weightLayout } from "../dtype.js";
import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from "../half.js";

/** Elements of an operand as numbers, by row-major index. A value that is set is rounded to the operand's dtype. */
export interface View {
  get(index: number): number;
  /** Throws on quantised weights, which no op writes. */
  set(index: number, value: number): void;
}

/** The operands of one op; those that the spec leaves out are undefined. */
export type Views<N extends OpName> = { readonly [K in keyof Operands<N>]: View };

/** What an op means: a function of a checked spec and its operands. */
export type Meaning<N extends OpName> = (spec: Required<Spec<N>>, operands: Views<N>) => void;

type Elements = Float32Array | Int32Array | Uint16Array;

const same = (x: number) => x;

function elements(of: Elements, decode: (bits: number) => number, encode: (value: number) => number): View {
  const outside = (index: number) => new OpError(`element ${index} is outside of an operand of ${of.length} elements`);
  return {
    get(index) {
      const bits = of[index];
      if (bits === undefined) throw outside(index);
      return decode(bits);
    },
    set(index, value) {
      if (!(index >= 0 && index < of.length)) throw outside(index);
      of[index] = encode(value);
    },
  };
}

function quantised(dtype: "q8_0" | "q4_0" | "q4_1", bytes: Uint8Array, out: number, width: number): View {
  const { scales, minimums } = weightLayout(dtype, out, width);
  const plane = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const half = (at: number) => fromFloat16(plane.getUint16(at, true));
  return {
    get(index) {
      if (!(index >= 0 && index < out * width)) throw new OpError(`weight ${index} is outside of ${out} x ${width}`);
      const block = Math.floor(index / blockSize);
      const scale = half(scales + 2 * block);
      if (dtype === "q8_0") return scale * plane.getInt8(index);
      const j = index % blockSize;
      const pair = plane.getUint8(block * 16 + (j % 16));
      const q = j < 16 ? pair & 15 : pair >> 4;
      return dtype === "q4_0" ? scale * (q - 8) : scale * q + half(minimums + 2 * block);
    },
    set() {
      throw new OpError(`${dtype} weights are read only`);
    },
  };
}

/** The elements of a tensor of `shape` whose bytes start at byte `offset` (a multiple of 4) of `data`. */
export function view(dtype: DType, shape: readonly number[], data: ArrayBuffer, offset: number): View {
  if (isQuantised(dtype)) {
    const width = shape.at(-1)!;
    const out = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return quantised(dtype, new Uint8Array(data, offset, bytesOf(dtype, shape)), out, width);
  }
  const count = shape.reduce((a, b) => a * b, 1);
  switch (dtype) {
    case "f32":
      return elements(new Float32Array(data, offset, count), same, same);
    case "i32":
      return elements(new Int32Array(data, offset, count), same, same);
    case "f16":
      return elements(new Uint16Array(data, offset, count), fromFloat16, toFloat16);
    case "bf16":
      return elements(new Uint16Array(data, offset, count), fromBFloat16, toBFloat16);
  }
}

/** Row `index` of a matrix whose rows have `size` numbers. */
export const rowOf = (matrix: View, index: number, size: number): number[] =>
  Array.from({ length: size }, (_, i) => matrix.get(index * size + i));

/** Writes numbers from element `start` on. */
export function setFrom(target: View, start: number, values: readonly number[]): void {
  for (const [i, value] of values.entries()) target.set(start + i, value);
}
