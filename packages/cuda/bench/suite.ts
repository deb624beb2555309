import { writeFileSync } from "node:fs";
import { testBackend } from "@ziggurat/testing";
import { create, cublasLt } from "./create.js";
import { testFused } from "./fused.js";
import { testOutOfMemory } from "./out-of-memory.js";
import { run } from "./vitest.js";

// Runs the conformance suite on the GPU of this machine: node suite.mjs [part of a test's name] [file for the results]
const [filter = "", file] = process.argv.slice(2);
const first = await create();
console.log(
  first.info.device,
  JSON.stringify(first.info.features),
  `${(first.info.maxBytes / 2 ** 30).toFixed(1)} GiB`,
);
await first.dispose();

// Aligned operands use the fast kernels, others the general ones.
testBackend({ name: "cuda, seed 1, aligned", create, seed: 1, aligned: true });
testBackend({ name: "cuda, seed 2, unaligned", create, seed: 2, aligned: false });
testBackend({ name: "cuda, seed 3", create, seed: 3 });
if (cublasLt)
  testBackend({ name: "cuda without cuBLASLt, seed 4, aligned", create: () => create(false), seed: 4, aligned: true });
testFused();
testOutOfMemory();
const start = performance.now();
const { passed, skipped, failures } = await run(filter, console.log);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped in ${seconds} s`);
if (file) writeFileSync(file, JSON.stringify({ device: first.info, passed, skipped, failures }, undefined, 1));
process.exitCode = failures.length > 0 ? 1 : 0;
