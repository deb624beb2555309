import { writeFileSync } from "node:fs";
import { cuda } from "@ziggurat/cuda";
import { testBackend } from "@ziggurat/testing";
import { run } from "./vitest.js";

// The conformance suite on this machine's GPU: node suite.mjs [part of a test's name] [file for the results]
const [filter = "", file] = process.argv.slice(2);
const binaries = { addon: new URL("ziggurat.node", import.meta.url), kernels: new URL("kernels.bin", import.meta.url) };
const first = await cuda({ binaries });
console.log(first.info.device, JSON.stringify(first.info.features), `${(first.info.maxBytes / 2 ** 30).toFixed(1)} GiB`);
await first.dispose();

// Which cases get aligned operands, and so the fast kernels, is random.
for (const seed of [1, 2, 3]) testBackend({ name: `cuda, seed ${seed}`, create: () => cuda({ binaries }), seed });
const start = performance.now();
const { passed, skipped, failures } = await run(filter, console.log);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped in ${seconds} s`);
if (file) writeFileSync(file, JSON.stringify({ device: first.info, passed, skipped, failures }, undefined, 1));
process.exitCode = failures.length > 0 ? 1 : 0;
