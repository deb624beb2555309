import { expect } from "vitest";
import { webgpu } from "../src/index.js";
import { chosenCases } from "./chosen.js";
import { asHardware } from "./emulate.js";
import { gpu } from "./gpu.js";

// The kernels of hardware without subgroups, which prefetch rows, use larger tiles and larger teams. A software
// device, which tests run on, gets others.

const chosen = [
  "decodeAttention (past 300) sequences=1 queryHeads=4 kvHeads=1 headSize=128 arenaRows=303 capacity=301 kv=bf16",
  "decodeAttention (past 3 0 0 0) sequences=2 queryHeads=2 kvHeads=2 headSize=96 arenaRows=9 capacity=4 kv=f32",
  "decodeAttention (past 0 1 64 2 30 7) sequences=3 queryHeads=4 kvHeads=2 headSize=20 arenaRows=112 capacity=65 kv=f16",
  "decodeAttention (past 5 130) sequences=1 queryHeads=4 kvHeads=2 headSize=64 arenaRows=139 capacity=131 kv=bf16",
  "linear rows=65 width=64 out=130 weight=q8_0",
  "linear rows=1 width=1024 out=33 weight=q8_0",
  "linear rows=2 width=96 out=130 weight=q4_1 bias residual",
  "linear rows=7 width=544 out=37 weight=q4_0",
];

chosenCases(
  "kernels for hardware",
  chosen,
  () => webgpu({ gpu: asHardware(gpu) }),
  ({ info }) => expect(info.features).toMatchObject({ subgroups: false, software: false, packedDots: true }),
);
