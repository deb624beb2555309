import type { Backend } from "@ziggurat/tensor";
import { cases, runCase } from "@ziggurat/testing";
import { afterAll, describe, expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { webgpu } from "../src/index.js";
import { withMatrixUnits } from "./emulate.js";
import { adapterThere, gpu } from "./gpu.js";

// What runs on a subgroup's matrix units, where no such units are: conformance cases whose operands lie as those kernels need them.

const chosen = [
  "attention (past 40) tokens=65 queryHeads=4 kvHeads=1 headSize=64 arenaRows=108 kv=bf16",
  "watch (past 0) sequences=1 tokens=65 queryHeads=4 kvHeads=1 headSize=96 arenaRows=67 capacity=65 kv=f16",
  "linear rows=65 width=64 out=130 weight=bf16",
  "linear rows=130 width=96 out=48 weight=f16 residual",
];

describe("matrix units", () => {
  let backend: Backend | undefined;
  afterAll(() => backend?.dispose());
  for (const name of chosen) {
    testWith(
      adapterThere,
      name,
      async () => {
        backend ??= await webgpu({ gpu: withMatrixUnits(gpu) });
        expect(backend.info.features.subgroupMatrix).toBe(true);
        const found = cases.filter((test) => test.name.startsWith(name));
        expect(found).toHaveLength(1);
        await runCase(backend, found[0]!, 1);
      },
      120_000,
    );
  }
});
