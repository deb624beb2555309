import { bytesOf, type Slice, type WeightDType } from "@ziggurat/tensor";
import { expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { webgpu } from "../src/index.js";
import { chosenCases } from "./chosen.js";
import { withMatrixUnits } from "./emulate.js";
import { adapterThere, gpu } from "./gpu.js";

// The kernels for a subgroup's matrix units, emulated: conformance cases whose operands have the alignment that these
// kernels need.

const chosen = [
  "attention (past 40) tokens=65 queryHeads=4 kvHeads=1 headSize=64 arenaRows=108 kv=bf16",
  "watch (past 0) sequences=1 tokens=65 queryHeads=4 kvHeads=1 headSize=96 arenaRows=67 capacity=65 kv=f16",
  "linear rows=65 width=64 out=130 weight=bf16",
  "linear rows=130 width=96 out=48 weight=f16 residual",
];

chosenCases(
  "matrix units",
  chosen,
  () => webgpu({ gpu: withMatrixUnits(gpu) }),
  ({ info }) => expect(info.features.subgroupMatrix).toBe(true),
);

testWith(
  adapterThere,
  "products of many rows convert x and weights to f16 first, and give the results of tiles",
  async () => {
    // One row more than those that are converted from on.
    const [rows, width, out] = [513, 64, 36];
    const backends = [await webgpu({ gpu: withMatrixUnits(gpu) }), await webgpu({ gpu })];
    for (const weight of ["f16", "bf16", "q4_1"] as const satisfies readonly WeightDType[]) {
      // These 16-bit patterns are 1.5 to 1.75 in f16 and 0.125 to 0.5 in bf16.
      const words = Uint16Array.from(
        { length: bytesOf(weight, [out, width]) / 2 },
        (_, i) => 0x3e00 + ((i * 7919) % 0x100),
      );
      const x = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i * i));
      const [got, expected] = await Promise.all(
        backends.map(async (backend) => {
          const put = (data: ArrayBufferView<ArrayBuffer>): Slice => {
            const slice = { buffer: backend.allocate(data.byteLength, "test"), offset: 0 };
            backend.write(slice, data);
            return slice;
          };
          const product = put(new Float32Array(rows * out).fill(Number.NaN));
          const linear = await backend.prepare("linear", { rows, width, out, weight });
          backend.dispatch(linear, { x: put(x), weight: put(words), out: product });
          return new Float32Array((await backend.read(product, 4 * rows * out)).buffer);
        }),
      );
      const largest = expected!.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
      expect(largest).toBeGreaterThan(0);
      for (const [index, number] of expected!.entries())
        expect(Math.abs(got![index]! - number)).toBeLessThan(2e-3 * largest);
    }
    for (const backend of backends) await backend.dispose();
  },
  120_000,
);
