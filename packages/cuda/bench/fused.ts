import { deepStrictEqual } from "node:assert";
import {
  type Backend,
  bytesOf,
  type Operands,
  type OpName,
  type RowDType,
  reference,
  type Slice,
  type Spec,
  toBFloat16,
  toFloat16,
  type WeightDType,
} from "@ziggurat/tensor";
import { describe, test } from "vitest";
import { create } from "./create.js";

// Recorded programs of two decoder layers around attention: the backend may fuse their dispatches, the reference runs
// them one by one. Every buffer must be the same afterwards, within rounding, those of intermediate results too.

interface Shape {
  readonly rows: number;
  readonly width: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly rotary: number;
  readonly half: number;
  readonly weight: WeightDType;
  readonly kv: RowDType;
  readonly bias: boolean;
  readonly kind: "silu" | "gelu";
  readonly keys: boolean;
  readonly ranks: boolean;
  /** Byte offset of the hidden state in its buffer. */
  readonly offset: number;
}
const usual: Shape = {
  ...{ rows: 1, width: 64, queryHeads: 4, kvHeads: 2, headSize: 16, rotary: 16, half: 48, weight: "bf16", kv: "bf16" },
  ...{ bias: false, kind: "silu", keys: true, ranks: false, offset: 0 },
};
const shapes: readonly Partial<Shape>[] = [
  {},
  { rows: 3, bias: true, kind: "gelu" },
  { rows: 8, kv: "f16", weight: "f16", keys: false, ranks: true },
  { rows: 2, weight: "f32", kv: "f32", headSize: 20, rotary: 20 },
  { weight: "q8_0", width: 96, bias: true },
  { rows: 5, weight: "q4_0", queryHeads: 2, kvHeads: 1, headSize: 64, rotary: 64 },
  { rows: 4, weight: "q4_1", width: 640, half: 34 },
  { weight: "bf16", width: 4096, rows: 2, half: 6 },
  // Products on tensor cores.
  { rows: 9 },
  { rows: 20, weight: "f16", kind: "gelu", width: 128, half: 64, bias: true },
  { rows: 10, weight: "q8_0", half: 64 },
  // Not fused: other rotation, odd gates, addresses that are not aligned.
  { rotary: 8 },
  { half: 47 },
  { offset: 4 },
];

const [arenaRows, tableRows] = [160, 40];

/** Numbers that repeat for the same seed, in [-1, 1). */
function noise(count: number, seed: number): Float32Array {
  let state = seed * 2654435761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
function weights(dtype: WeightDType, out: number, width: number, seed: number): ArrayBufferView {
  const numbers = noise(out * width, seed);
  if (dtype === "f32") return numbers;
  if (dtype === "f16") return Uint16Array.from(numbers, toFloat16);
  if (dtype === "bf16") return Uint16Array.from(numbers, toBFloat16);
  // Random quants, then small scales and minimums, as f16.
  const bytes = new Uint8Array(bytesOf(dtype, [out, width]));
  numbers.forEach((x, i) => (bytes[i % bytes.length] = 128 * x + 128));
  const blocks = (out * width) / 32;
  const quants = 16 * Math.ceil((blocks * (dtype === "q8_0" ? 32 : 16)) / 16);
  const halves = new Uint16Array(bytes.buffer, quants);
  noise(halves.length, seed + 1).forEach((x, i) => (halves[i] = toFloat16(0.01 * (x + 1.5))));
  return bytes;
}

/** Records the layers on a backend, replays them twice and reads every buffer. */
async function run(backend: Backend, shape: Shape): Promise<Record<string, Float32Array | Int32Array | Uint8Array>> {
  const { rows, width, queryHeads, kvHeads, headSize, rotary, half, weight, kv, bias, kind, keys, ranks } = shape;
  const heads = queryHeads + 2 * kvHeads;
  const slices = new Map<string, { slice: Slice; bytes: number; integers: boolean | undefined }>();
  const put = (name: string, data: ArrayBufferView, integers?: boolean, offset = 0): Slice => {
    const buffer = backend.allocate(offset + data.byteLength, "test");
    backend.write({ buffer, offset }, data);
    slices.set(name, { slice: { buffer, offset }, bytes: data.byteLength, integers });
    return { buffer, offset };
  };
  const floats = (name: string, count: number, seed: number) => put(name, noise(count, seed), false);
  const words = (name: string, values: readonly number[]) => put(name, Int32Array.from(values), true);
  const perHead = Array.from({ length: rows * kvHeads }, (_, i) => i);
  const x = put("x", noise(rows * width, 1), false, shape.offset);
  const [normed, qkv] = [floats("normed", rows * width, 2), floats("qkv", rows * heads * headSize, 3)];
  const [both, gated] = [floats("both", rows * 2 * half, 4), floats("gated", rows * half, 5)];
  const rowBytes = kv === "f32" ? 4 : 2;
  const arena = (name: string) => put(name, new Uint8Array(rowBytes * arenaRows * headSize));
  const places = {
    offset: words(
      "offset",
      perHead.map((i) => 3 * i),
    ),
    length: words(
      "length",
      perHead.map((i) => i % 2),
    ),
    seen: words(
      "seen",
      perHead.map((i) => 7 + i),
    ),
    ended: words(
      "ended",
      Array.from({ length: rows }, (_, s) => Number(s === 2)),
    ),
  };
  const rowsOf = {
    keys: arena("keys"),
    values: arena("values"),
    cells: words("cells", new Array(3 * arenaRows).fill(9)),
  };
  const table = floats("table", tableRows * rotary, 6);
  const dispatches: (() => void)[] = [];
  const add = async <N extends OpName>(op: N, spec: Spec<N>, operands: Operands<N>) => {
    const kernel = await backend.prepare(op, spec);
    dispatches.push(() => backend.dispatch(kernel, operands));
  };
  for (const layer of [0, 1]) {
    const gain = floats(`gain ${layer}`, width, 10 + layer);
    const project = async (name: string, out: number, to: Slice) => {
      const matrix = put(`${name} ${layer}`, weights(weight, out, width, 20 + layer));
      const added = bias ? { bias: floats(`${name} bias ${layer}`, out, 30 + layer) } : {};
      await add("rmsNorm", { rows, width, epsilon: 1e-5 }, { x, weight: gain, out: normed });
      await add(
        "linear",
        { rows, width, out, weight, bias, residual: false } as Spec<"linear">,
        {
          ...{ x: normed, weight: matrix, out: to, ...added },
        } as Operands<"linear">,
      );
    };
    await project("qkv", heads * headSize, qkv);
    const sizes = { sequences: rows, tokens: 1, queryHeads, kvHeads, headSize };
    await add("rope", { ...sizes, rotary, tableRows, keys }, { qkv, table, base: places.seen });
    await add(
      "append",
      { ...sizes, arenaRows, planes: 3, kv, keys: true, values: true, cells: true, ranks } as Spec<"append">,
      { qkv, ...rowsOf, ...places } as Operands<"append">,
    );
    await project("both", 2 * half, both);
    await add("gatedActivation", { rows, width: half, kind }, { x: both, out: gated });
    const dtype = half % 32 === 0 || weight.length < 4 || weight === "bf16" ? weight : "f32";
    const matrix = put(`down ${layer}`, weights(dtype, width, half, 40 + layer));
    const down: Spec<"linear"> = { rows, width: half, out: width, weight: dtype, bias: false, residual: true };
    await add("linear", down, { x: gated, weight: matrix, residual: x, out: x } as Operands<"linear">);
  }
  // Counters of four layers, of all sequences at once, the last by 2; then of each sequence in turn.
  const counters = words("counters", new Array(4 * rows).fill(3));
  for (const layer of [0, 1, 2, 3]) {
    const counter = { ...counters, offset: 4 * rows * layer };
    const spec = { repeat: 1, sequences: rows, width: 1, by: layer === 3 ? 2 : 1 };
    await add("advance", spec, { counter, ended: places.ended });
  }
  const each = words("counters of each", new Array(8 * rows).fill(3));
  for (const layer of [0, 1, 2, 3]) {
    for (let s = 0; s < rows; s++) {
      const counter = { ...each, offset: 8 * (rows * layer + s) };
      const ended = { ...places.ended, offset: 4 * s };
      await add("advance", { repeat: 1, sequences: 1, width: 2, by: 1 }, { counter, ended });
    }
  }
  const program = backend.record(() => {
    for (const dispatch of dispatches) dispatch();
  });
  backend.replay(program);
  backend.replay(program);
  const results: Record<string, Float32Array | Int32Array | Uint8Array> = {};
  for (const [name, { slice, bytes, integers }] of slices) {
    const data = await backend.read(slice, bytes);
    results[name] = integers === undefined ? data : new (integers ? Int32Array : Float32Array)(data.buffer);
  }
  backend.release(program);
  for (const { slice } of slices.values()) backend.free(slice.buffer);
  return results;
}

/** Whether two results agree: integers exactly, floats within `tolerance` of their greatest, rows by their numbers. */
function agree(name: string, got: ArrayLike<number>, expected: ArrayLike<number>, kv: RowDType, tolerance: number) {
  const isRows = name === "keys" || name === "values";
  const numbers = (data: ArrayLike<number>): ArrayLike<number> => {
    if (!isRows) return data;
    const { buffer } = data as Uint8Array<ArrayBuffer>;
    if (kv === "f32") return new Float32Array(buffer);
    const halves = Array.from(new Uint16Array(buffer));
    const value = (bits: number) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
    const half = (bits: number) => {
      const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
    };
    return halves.map(kv === "bf16" ? value : half);
  };
  const [a, b] = [numbers(got), numbers(expected)];
  const most = Array.from(b).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const exact = expected instanceof Int32Array || (expected instanceof Uint8Array && !isRows);
  const wrong = Array.from(b).findIndex((x, i) => !(Math.abs(a[i]! - x) <= (exact ? 0 : tolerance * (1 + most))));
  deepStrictEqual(wrong, -1, `${name}[${wrong}] is ${a[wrong]}, not ${b[wrong]}`);
}

/** Tests that fused programs do what their dispatches do. */
export function testFused(): void {
  describe("fused programs", () => {
    for (const part of shapes) {
      const shape = { ...usual, ...part };
      test(`two layers, ${JSON.stringify(part)}`, async () => {
        const expected = await run(reference(), shape);
        const backend = await create(false);
        const got = await run(backend, shape);
        await backend.dispose();
        const tolerance = shape.rows > 8 ? 2e-2 : shape.kv === "f32" ? 1e-4 : 8e-3;
        for (const name in expected) agree(name, got[name]!, expected[name]!, shape.kv, tolerance);
      });
    }
  });
}
