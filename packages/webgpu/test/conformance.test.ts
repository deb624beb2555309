import { testBackend } from "@ziggurat/testing";
import { expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { webgpu } from "../src/index.js";
import { adapterThere, gpu } from "./gpu.js";

testWith(adapterThere, "opens a device with the limits of its adapter", async () => {
  const backend = await webgpu({ gpu });
  expect(backend.info.features.maxBindingBytes).toBeGreaterThanOrEqual(2 ** 27);
  await backend.dispose();
});

if (adapterThere.path !== undefined) {
  testBackend({
    name: "webgpu",
    create: () => webgpu({ gpu }),
    // SwiftShader has two of the optional features: subgroups of four lanes, which products of few rows and norms use,
    // and packed dots. Limits do not change the text of a kernel.
    variants: [
      {
        name: "no subgroups, no packed dots, default bindings",
        create: () => webgpu({ gpu, without: ["subgroups", "packedDots", "largeBindings"] }),
        ops: ["linear", "rmsNorm"],
      },
    ],
  });
}
