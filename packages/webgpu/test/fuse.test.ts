import { bytesOf, type Slice, type WeightDType } from "@ziggurat/tensor";
import { expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { webgpu } from "../src/index.js";
import { asHardware } from "./emulate.js";
import { adapterThere, gpu } from "./gpu.js";

const numbers = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i));

testWith(
  adapterThere,
  "a recorded program leaves the same bytes as its dispatches one by one, although neighbours are fused",
  async () => {
    const backend = await webgpu({ gpu });
    const heads = { queryHeads: 4, kvHeads: 2, headSize: 8 };
    const [arenaRows, planes, tableRows, sequences] = [32, 3, 16, 2];
    const size = { ...heads, sequences, tokens: 1 };
    const rope = await backend.prepare("rope", { ...size, rotary: heads.headSize, tableRows, keys: true });
    const append = await backend.prepare("append", {
      ...size,
      arenaRows,
      planes,
      kv: "bf16",
      keys: true,
      values: true,
      cells: true,
      ranks: true,
    });
    const advance = await backend.prepare("advance", { repeat: 1, sequences, width: heads.kvHeads, by: 1 });
    const run = async (recorded: boolean) => {
      const all: { slice: Slice; bytes: number }[] = [];
      const put = (data: Float32Array | Int32Array): Slice => {
        const slice = { buffer: backend.allocate(data.byteLength, "test"), offset: 0 };
        backend.write(slice, data);
        all.push({ slice, bytes: data.byteLength });
        return slice;
      };
      const qkv = put(numbers(sequences * 8 * heads.headSize));
      const table = put(numbers(tableRows * heads.headSize));
      const [keys, values] = [
        put(new Float32Array((arenaRows * heads.headSize) / 2)),
        put(new Float32Array((arenaRows * heads.headSize) / 2)),
      ];
      const cells = put(new Int32Array(planes * arenaRows).fill(7));
      // offset, length, seen, a second length, ended
      const tables = put(Int32Array.of(0, 8, 16, 24, 3, 4, 5, 6, 9, 9, 12, 12, 1, 2, 3, 4, 0, 1));
      const at = (word: number): Slice => ({ buffer: tables.buffer, offset: 4 * word });
      const places = { offset: at(0), length: at(4), seen: at(8), ended: at(16) };
      const body = () => {
        backend.dispatch(rope, { qkv, table, base: places.seen });
        backend.dispatch(append, { qkv, keys, values, cells, ...places });
        backend.dispatch(advance, { counter: at(4), ended: places.ended });
        backend.dispatch(advance, { counter: at(8), ended: places.ended });
        backend.dispatch(advance, { counter: at(12), ended: places.ended });
      };
      if (recorded) backend.replay(backend.record(body));
      else body();
      const bytes = [];
      for (const { slice, bytes: length } of all) bytes.push(await backend.read(slice, length));
      return bytes;
    };
    const [fused, plain] = [await run(true), await run(false)];
    expect(fused).toEqual(plain);
    await backend.dispose();
  },
);

// Software and hardware have teams of different sizes.
for (const [device, open] of [
  ["software", () => webgpu({ gpu })],
  ["hardware", () => webgpu({ gpu: asHardware(gpu) })],
] as const) {
  testWith(
    adapterThere,
    `a product fused with its norm and its activation gives the result of the three dispatches, in kernels for ${device}`,
    async () => {
      const backend = await open();
      const [rows, width, out] = [2, 128, 70];
      for (const weight of ["f32", "q8_0"] as const satisfies readonly WeightDType[]) {
        const put = (data: ArrayBufferView<ArrayBuffer>): Slice => {
          const slice = { buffer: backend.allocate(data.byteLength, "test"), offset: 0 };
          backend.write(slice, data);
          return slice;
        };
        const bytes = bytesOf(weight, [out, width]);
        // As q8_0 every scale is 1, the f16 number 0x3c00.
        const weights =
          weight === "f32"
            ? numbers(out * width)
            : Uint16Array.from({ length: bytes / 2 }, (_, i) => (2 * i < out * width ? (i * 7919) & 0xffff : 0x3c00));
        const norm = await backend.prepare("rmsNorm", { rows, width, epsilon: 1e-5 });
        const linear = await backend.prepare("linear", { rows, width, out, weight });
        const activation = await backend.prepare("gatedActivation", { rows, width: out / 2, kind: "silu" });
        const inputs = { x: put(numbers(rows * width)), scale: put(numbers(width)), weights: put(weights) };
        const run = async (recorded: boolean) => {
          const [normed, product] = [put(new Float32Array(rows * width)), put(new Float32Array(rows * out))];
          const gated = put(new Float32Array((rows * out) / 2));
          const body = () => {
            backend.dispatch(norm, { x: inputs.x, weight: inputs.scale, out: normed });
            backend.dispatch(linear, { x: normed, weight: inputs.weights, out: product });
            backend.dispatch(activation, { x: product, out: gated });
          };
          if (recorded) backend.replay(backend.record(body));
          else body();
          const read = async (slice: Slice, count: number) =>
            new Float32Array((await backend.read(slice, 4 * count)).buffer);
          return [
            ...(await read(normed, rows * width)),
            ...(await read(product, rows * out)),
            ...(await read(gated, (rows * out) / 2)),
          ];
        };
        const [fused, plain] = [await run(true), await run(false)];
        expect(plain.some((x) => Math.abs(x) > 1)).toBe(true);
        for (const [index, x] of plain.entries())
          expect(Math.abs(fused[index]! - x)).toBeLessThan(1e-4 * (1 + Math.abs(x)));
      }
      await backend.dispose();
    },
  );
}
