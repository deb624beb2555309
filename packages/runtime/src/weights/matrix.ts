import { type Buffers, bytesOf, isQuantised, type Slice, type WeightDType, weightLayout } from "@ziggurat/tensor";
import { FormatError } from "../error.js";
import { convert } from "./convert.js";
import type { Loader } from "./loader.js";
import { isBlocked, type StoredDType, type WeightSource } from "./source.js";

/** How a matrix is put together from stored ones, stacked along `out`. */
export interface MatrixPlan {
  readonly names: readonly string[];
  /** Rows of each part. */
  readonly parts: readonly number[];
  readonly width: number;
  readonly dtype: WeightDType;
}

export interface Matrix {
  readonly slice: Slice;
  readonly dtype: WeightDType;
  readonly out: number;
  readonly width: number;
}

/**
 * The plan of a matrix of these parts. Without a `dtype` it stays as stored, or becomes the nearest that backends
 * compute with (see {@link deviceDType}). A width that cannot be cut into blocks becomes bf16. Throws a `FormatError`
 * if a tensor is missing or has another shape.
 */
export function planMatrix(
  source: WeightSource,
  names: readonly string[],
  parts: readonly number[],
  width: number,
  dtype: WeightDType | undefined,
): MatrixPlan {
  const stored = names.map((name, index) => {
    const tensor = source.tensor(name);
    if (tensor.shape.length !== 2 || tensor.shape[0] !== parts[index] || tensor.shape[1] !== width) {
      throw new FormatError(
        `${source.name}: tensor "${name}" has shape [${tensor.shape.join(", ")}]; the configuration calls for [${parts[index]}, ${width}]`,
      );
    }
    return tensor.dtype;
  });
  const wanted = dtype ?? deviceDType(stored);
  return { names, parts, width, dtype: isQuantised(wanted) && width % 32 !== 0 ? "bf16" : wanted };
}

/**
 * The dtype that holds stored parts together. Blocks that no backend computes with become the dtype that keeps their
 * numbers best: q5_0 becomes q8_0, exactly; q4_K becomes q4_1, whose scales are halves; q5_1, q5_K and q6_K become
 * q8_0, with an error of at most 1/254 of the greatest weight in a block. Different blocks become q8_0, other mixtures
 * f32.
 */
function deviceDType(stored: readonly StoredDType[]): WeightDType {
  const [first] = stored;
  if (!stored.every(isBlocked)) return stored.every((kind) => kind === first) ? (first as WeightDType) : "f32";
  const held = stored.map((kind) => (kind === "q4_K" ? "q4_1" : kind === "q4_0" || kind === "q4_1" ? kind : "q8_0"));
  return held.every((kind) => kind === held[0]) ? held[0]! : "q8_0";
}

const rowsOf = ({ parts }: MatrixPlan) => parts.reduce((a, b) => a + b, 0);

/** Bytes of the matrix in device memory. */
export const matrixBytes = (plan: MatrixPlan): number => bytesOf(plan.dtype, [rowsOf(plan), plan.width]);

/** Allocates a matrix in one buffer, and adds to the loader the work that fills it. */
export function loadMatrix(loader: Loader, source: WeightSource, plan: MatrixPlan, buffers: Buffers): Matrix {
  const { names, parts, width, dtype } = plan;
  const out = rowsOf(plan);
  const { buffer } = buffers.allocate(matrixBytes(plan), "weights");
  let first = 0;
  for (const [index, name] of names.entries()) {
    const stored = source.tensor(name);
    const above = first;
    for (const { from, to } of loader.chunks(stored, parts[index]!, dtype)) {
      loader.add(async ({ backend, stored: into, converted }) => {
        const data = convert(await stored.read({ from, to }, into), stored.dtype, dtype, [to - from, width], name, {
          into: converted,
          row: from,
        });
        for (const { target, from: at, bytes } of pieces(dtype, out, width, above + from, to - from)) {
          backend.write({ buffer, offset: target }, data.subarray(at, at + bytes));
        }
        return data.byteLength;
      });
    }
    first += parts[index]!;
  }
  return { slice: { buffer, offset: 0 }, dtype, out, width };
}

/** The places, in a matrix of `out` rows, of the planes of `rows` rows from row `row` on. */
function pieces(
  dtype: WeightDType,
  out: number,
  width: number,
  row: number,
  rows: number,
): { target: number; from: number; bytes: number }[] {
  if (!isQuantised(dtype)) {
    const stride = bytesOf(dtype, [width]);
    return [{ target: row * stride, from: 0, bytes: rows * stride }];
  }
  const whole = weightLayout(dtype, out, width);
  const part = weightLayout(dtype, rows, width);
  const quants = dtype === "q8_0" ? width : width / 2;
  const scales = (2 * width) / 32;
  const planes = [
    { target: row * quants, from: 0, bytes: rows * quants },
    { target: whole.scales + row * scales, from: part.scales, bytes: rows * scales },
  ];
  if (dtype === "q4_1")
    planes.push({ target: whole.minimums + row * scales, from: part.minimums, bytes: rows * scales });
  return planes;
}

/** Reads vectors, one after the other, into one. Throws a `FormatError` for another shape. */
export async function readVector(
  source: WeightSource,
  names: readonly string[],
  widths: readonly number[],
): Promise<Float32Array> {
  const numbers = new Float32Array(widths.reduce((a, b) => a + b, 0));
  let at = 0;
  for (const [index, name] of names.entries()) {
    const stored = source.tensor(name);
    const width = widths[index]!;
    if (stored.shape.length !== 1 || stored.shape[0] !== width) {
      throw new FormatError(
        `${source.name}: tensor "${name}" has shape [${stored.shape.join(", ")}]; the configuration calls for [${width}]`,
      );
    }
    const bytes = convert(await stored.read(), stored.dtype, "f32", [width], name);
    new Uint8Array(numbers.buffer).set(bytes, 4 * at);
    at += width;
  }
  return numbers;
}
