import { expect } from "vitest";
import { webgpu } from "../src/index.js";
import { chosenCases } from "./chosen.js";
import { withMatrixUnits } from "./emulate.js";
import { gpu } from "./gpu.js";

// What runs on a subgroup's matrix units, where no such units are: conformance cases whose operands lie as those
// kernels need them.

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
