import { expect } from "vitest";
import { webgpu } from "../src/index.js";
import { chosenCases } from "./chosen.js";
import { withMatrixUnits } from "./emulate.js";
import { gpu } from "./gpu.js";

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
