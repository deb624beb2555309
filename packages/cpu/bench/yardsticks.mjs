// What the machine can do, by kernels.ts: for bench.mjs, and for `bench decode` of apps/bench.
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import asc from "assemblyscript/asc";

const pages = 2048;

async function compiled(simd) {
  const file = join(tmpdir(), `ziggurat-bench-${simd}-${process.pid}.wasm`);
  const { error, stderr } = await asc.main([
    fileURLToPath(new URL("kernels.ts", import.meta.url)),
    ...["--outFile", file, "-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--initialMemory", String(pages)],
    ...["--enable", simd === "relaxed" ? "simd,relaxed-simd" : "simd"],
  ]);
  if (error) throw new Error(stderr.toString());
  return await WebAssembly.compile(await readFile(file));
}

async function instantiated(module) {
  const memory = new WebAssembly.Memory({ initial: pages });
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  new Float32Array(memory.buffer).fill(1e-3);
  return exports;
}

/** The functions of kernels.ts at a SIMD level, on a memory of their own. */
export const yardsticks = async (simd) => instantiated(await compiled(simd));

/** GB/s that `threads` workers together read as four streams each, in one second; of each its best pass over 64 MiB. */
export async function streamRate(threads) {
  const module = await compiled("base");
  const rates = Array.from(
    { length: threads },
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: { yardstick: module } });
        worker.once("message", resolve);
        worker.once("error", reject);
      }),
  );
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}

if (!isMainThread && workerData?.yardstick) {
  const { streams } = await instantiated(workerData.yardstick);
  let best = Number.POSITIVE_INFINITY;
  for (const start = performance.now(); performance.now() - start < 1000; ) {
    const before = performance.now();
    streams(0, 2 ** 26);
    best = Math.min(best, performance.now() - before);
  }
  parentPort.postMessage(2 ** 26 / 1e6 / best);
}
