import { type Backend, bytesOf, type Slice } from "@ziggurat/tensor";
import { time } from "./matrix.js";

/** Tokens of one tile of a prompt. */
const tokens = 2048;

type Product = readonly [rows: number, out: number, width: number, weight: "f16" | "bf16" | "q4_0"];
const products: readonly Product[] = [
  [tokens, 6144, 4096, "f16"],
  [tokens, 4096, 4096, "f16"],
  [tokens, 28672, 4096, "f16"],
  [tokens, 4096, 14336, "f16"],
  [tokens, 28672, 4096, "bf16"],
  [tokens, 2048, 2048, "q4_0"],
  [tokens, 16384, 2048, "q4_0"],
  [tokens, 2048, 8192, "q4_0"],
  [64, 4096, 4096, "f16"],
  [256, 4096, 4096, "f16"],
  [256, 16384, 2048, "q4_0"],
];

/** Measures matrix products of a prefill, and of large batches, alone. */
export async function productsAlone(backend: Backend): Promise<void> {
  for (const [rows, out, width, weight] of products) {
    const allocate = (bytes: number): Slice => ({ buffer: backend.allocate(bytes, "product"), offset: 0 });
    const operands = {
      x: allocate(4 * rows * width),
      weight: allocate(bytesOf(weight, [out, width])),
      out: allocate(4 * rows * out),
    };
    fill(backend, operands.x, "f32");
    fill(backend, operands.weight, weight === "q4_0" ? "f16" : weight);
    const kernel = await backend.prepare("linear", { rows, width, out, weight });
    const ms = await time(backend, 10, () => backend.dispatch(kernel, operands));
    const operations = 2 * rows * width * out;
    const error = weight === "q4_0" ? undefined : await errorOf(backend, operands.out, [rows, out, width, weight]);
    console.log(
      `  ${rows} rows, ${out} x ${width} ${weight}`.padEnd(36),
      `${(1000 * ms).toFixed(0)} us ${(operations / ms / 1e9).toFixed(1)} TFLOP/s`,
      error === undefined ? "" : `error ${error.toExponential(1)}`,
    );
    for (const { buffer } of Object.values(operands)) backend.free(buffer);
  }
}

/** Measures attention of one tile of a prompt after others, and the watch sums of all its queries. */
export async function attentionOfTile(backend: Backend): Promise<void> {
  for (const headSize of [128, 64] as const) {
    for (const rows of [8192, 32768]) {
      const [queryHeads, kvHeads] = [32, 8];
      const arenaRows = rows * kvHeads;
      const allocate = (bytes: number): Slice => ({ buffer: backend.allocate(bytes, "attention"), offset: 0 });
      const inputs = {
        qkv: allocate(4 * tokens * (queryHeads + 2 * kvHeads) * headSize),
        keys: allocate(2 * arenaRows * headSize),
        values: allocate(2 * arenaRows * headSize),
      };
      for (const [name, slice] of Object.entries(inputs)) fill(backend, slice, name === "qkv" ? "f32" : "f16");
      const [offset, length, ended] = [allocate(4 * kvHeads), allocate(4 * kvHeads), allocate(4)];
      const heads = Int32Array.from({ length: kvHeads }, (_, head) => head * rows);
      backend.write(offset, heads);
      backend.write(length, new Int32Array(kvHeads).fill(rows - tokens));
      const results = {
        out: allocate(4 * tokens * queryHeads * headSize),
        lse: allocate(4 * tokens * queryHeads),
        mass: allocate(4 * queryHeads * rows),
      };
      const shape = { queryHeads, kvHeads, headSize, arenaRows, kv: "f16", softcap: 0 } as const;
      const scale = headSize ** -0.5;
      const prefill = await backend.prepare("attention", { tokens, ...shape, scale });
      const watch = await backend.prepare("watch", { sequences: 1, tokens, capacity: rows, from: 0, ...shape, scale });
      const { qkv, keys, values } = inputs;
      const { out, lse, mass } = results;
      const tables = { offset, length };
      const ms = await time(backend, 5, () => backend.dispatch(prefill, { qkv, keys, values, ...tables, out, lse }));
      const watchMs = await time(backend, 5, () => backend.dispatch(watch, { qkv, keys, ...tables, lse, ended, mass }));
      const operations = 4 * tokens * queryHeads * headSize * (rows - tokens / 2);
      const line = `  ${tokens} of ${rows} rows, ${queryHeads}/${kvHeads} heads of ${headSize}`.padEnd(44);
      console.log(
        line,
        `attention ${ms.toFixed(2)} ms ${(operations / ms / 1e9).toFixed(1)} TFLOP/s  `,
        `watch ${watchMs.toFixed(2)} ms ${(operations / 2 / watchMs / 1e9).toFixed(1)} TFLOP/s`,
      );
      const all = [...Object.values(inputs), ...Object.values(results), offset, length, ended];
      for (const { buffer } of all) backend.free(buffer);
    }
  }
}

/** "lowbias32" of Chris Wellons' hash-prospector. */
function mixed(x: number): number {
  let hash = x;
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return hash ^ (hash >>> 16);
}

type Filling = "f32" | "f16" | "bf16";

/** Bytes after which the random numbers of a buffer repeat. */
const period = 2 ** 22;
/** The random words of a buffer: f32 of 1/8 to 1/2, or pairs of 16-bit floats of about 1/16 to 1, of either sign. */
const wordsOf = (type: Filling) => {
  const [base, mask] = { f32: [0x3e000000, 0x80ffffff], f16: [0x2c002c00, 0x8fff8fff], bf16: [0x3d803d80, 0x817f817f] }[
    type
  ] as [number, number];
  return Uint32Array.from({ length: period / 4 }, (_, i) => base | (mixed(i) & mask));
};
const fillings = { f32: wordsOf("f32"), f16: wordsOf("f16"), bf16: wordsOf("bf16") };

function fill(backend: Backend, slice: Slice, type: Filling): void {
  for (let at = 0; at < slice.buffer.bytes; at += period) {
    const bytes = Math.min(period, slice.buffer.bytes - at);
    backend.write({ buffer: slice.buffer, offset: at }, fillings[type].subarray(0, bytes / 4));
  }
}

/** Number `index` of a buffer that `fill` filled. */
function numberAt(type: Filling, index: number): number {
  const words = fillings[type];
  if (type === "f32") return new Float32Array(words.buffer, 4 * (index % words.length), 1)[0]!;
  const bits = (words[(index >> 1) % words.length]! >>> (16 * (index & 1))) & 0xffff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (type === "bf16") return sign * 2 ** (((bits >> 7) & 255) - 127) * (1 + (bits & 127) / 128);
  return sign * 2 ** (((bits >> 10) & 31) - 15) * (1 + (bits & 1023) / 1024);
}

/** The largest error of some results of a product, relative to the root mean square of those results. */
async function errorOf(
  backend: Backend,
  out: Slice,
  [rows, outs, width, weight]: readonly [number, number, number, Filling],
): Promise<number> {
  let [error, squares] = [0, 0];
  const count = 16;
  for (let i = 0; i < count; i++) {
    const [row, column] = [(i * 977) % rows, (i * 7919) % outs];
    let exact = 0;
    for (let k = 0; k < width; k++) {
      exact += numberAt("f32", row * width + k) * numberAt(weight, column * width + k);
    }
    const at = { buffer: out.buffer, offset: 4 * (row * outs + column) };
    const got = new Float32Array((await backend.read(at, 4)).buffer)[0]!;
    error = Math.max(error, Math.abs(got - exact));
    squares += exact ** 2;
  }
  return error / Math.sqrt(squares / count);
}
