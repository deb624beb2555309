import { type Backend, bytesOf, type Slice, type WeightDType } from "@ziggurat/tensor";
import { time } from "./matrix.js";

/** Tokens of one tile of a prompt. */
const tokens = 2048;

type Product = readonly [rows: number, out: number, width: number, weight: WeightDType];
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
    fill(backend, operands.weight, "f16");
    const kernel = await backend.prepare("linear", { rows, width, out, weight });
    const ms = await time(backend, 10, () => backend.dispatch(kernel, operands));
    const operations = 2 * rows * width * out;
    console.log(
      `  ${rows} rows, ${out} x ${width} ${weight}`.padEnd(36),
      `${(1000 * ms).toFixed(0)} us ${(operations / ms / 1e9).toFixed(1)} TFLOP/s`,
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

/** Fills a buffer with random numbers: f32 of 1/8 to 1/2, or pairs of f16 of 1/16 to 1, of either sign. */
function fill(backend: Backend, slice: Slice, type: "f32" | "f16"): void {
  const chunk = 2 ** 22;
  const words = Uint32Array.from({ length: chunk / 4 }, (_, i) => {
    const noise = Math.imul(i + 1, 0x9e3779b1) >>> 0;
    return type === "f32" ? 0x3e000000 | (noise & 0x80ffffff) : 0x2c002c00 | (noise & 0x8fff8fff);
  });
  for (let at = 0; at < slice.buffer.bytes; at += chunk) {
    const bytes = Math.min(chunk, slice.buffer.bytes - at);
    backend.write({ buffer: slice.buffer, offset: at }, words.subarray(0, bytes / 4));
  }
}
