// What the machine can do, by kernels.ts: for bench.mjs, and for `bench decode` of apps/bench.
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import asc from "assemblyscript/asc";

/**
 * Bytes that the plain loop reads: as much as a decode step of a small model, and so more than a machine keeps near one
 * processor.
 */
export const streamBytes = 320 * 2 ** 20;
const first = 2 ** 20;
const pages = (streamBytes + first) / 2 ** 16;

async function compiled(simd) {
  const file = join(tmpdir(), `ziggurat-bench-${simd}-${process.pid}.wasm`);
  const { error, stderr } = await asc.main([
    fileURLToPath(new URL("kernels.ts", import.meta.url)),
    ...[
      "--outFile",
      file,
      "-O3",
      "--noAssert",
      "--runtime",
      "stub",
      "--importMemory",
      "--initialMemory",
      String(pages),
    ],
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

/** At a SIMD level: what kernels.ts calls bare, and one pass of the plain loop. */
export async function yardsticks(simd) {
  const { bare, streams } = await instantiated(await compiled(simd));
  return { bare, streams: () => streams(0, first, streamBytes) };
}

/**
 * GB/s that the plain loop reads, by `threads` workers at once, each on separate bytes, for two seconds: the medians
 * of their passes, added up.
 */
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
  const times = [];
  for (const start = performance.now(); performance.now() - start < 2000; ) {
    const before = performance.now();
    streams(0, first, streamBytes);
    times.push(performance.now() - before);
  }
  parentPort.postMessage(streamBytes / 1e6 / times.sort((a, b) => a - b)[times.length >> 1]);
}
