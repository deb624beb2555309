import { CpuError } from "./error.js";
import type { Report } from "./messages.js";

// What differs between Node and browsers: reading the kernels and starting workers. The URLs below are written out,
// because bundlers recognise only this form. They are the same from src/ and from dist/: the worker is always the built
// file.

/** A worker thread. */
export interface Thread {
  send(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  /** Sets whether the thread keeps the process alive (Node). */
  hold(on: boolean): void;
  stop(): Promise<void>;
}

interface Listeners {
  report(report: Report): void;
  failed(reason: string): void;
}

export type Build = "base-shared" | "base-single" | "relaxed-shared" | "relaxed-single";

const kernelUrls: Record<Build, () => URL> = {
  "base-shared": () => new URL("../wasm/base-shared.wasm", import.meta.url),
  "base-single": () => new URL("../wasm/base-single.wasm", import.meta.url),
  "relaxed-shared": () => new URL("../wasm/relaxed-shared.wasm", import.meta.url),
  "relaxed-single": () => new URL("../wasm/relaxed-single.wasm", import.meta.url),
};

/**
 * Node's `process`, or undefined elsewhere. Not imported, because bundlers for browsers would fail on the import.
 */
const node = globalThis.process?.versions?.node ? globalThis.process : undefined;

/** The number of threads that the machine runs at once. */
export function parallelism(): number {
  return node
    ? node.getBuiltinModule("node:os").availableParallelism()
    : (globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** Whether threads can share memory. */
export const canShare = (): boolean =>
  typeof SharedArrayBuffer !== "undefined" && (node !== undefined || globalThis.crossOriginIsolated === true);

/** V8 before 12 gives wrong int8 dot products where its flag for relaxed SIMD is set, so it is not asked. */
export const trustsRelaxed = (): boolean => node === undefined || Number.parseInt(node.versions.v8 ?? "0", 10) >= 12;

const notBuilt = (url: URL) =>
  `${url.href} is not there: build the package first (pnpm --filter @ziggurat/cpu build), or serve its wasm folder`;

/** Reads and compiles a build of the kernels. Rejects with a {@link CpuError}. */
export async function compileKernels(build: Build): Promise<WebAssembly.Module> {
  const url = kernelUrls[build]();
  if (node && url.protocol === "file:") {
    const bytes = await node
      .getBuiltinModule("node:fs/promises")
      .readFile(url)
      .catch((cause: unknown) => {
        throw new CpuError(notBuilt(url), { cause });
      });
    return await WebAssembly.compile(bytes);
  }
  const response = await fetch(url);
  if (!response.ok) throw new CpuError(`${notBuilt(url)} (HTTP ${response.status})`);
  return await WebAssembly.compile(await response.arrayBuffer());
}

export const startThread = (name: string, listeners: Listeners): Thread =>
  node ? nodeThread(name, listeners) : browserThread(listeners);

function nodeThread(name: string, { report, failed }: Listeners): Thread {
  const { Worker } = globalThis.process.getBuiltinModule("node:worker_threads");
  const path = "../dist/worker.js";
  const url = new URL(path, import.meta.url);
  if (!globalThis.process.getBuiltinModule("node:fs").existsSync(url)) throw new CpuError(notBuilt(url));
  const worker = new Worker(url, { name, execArgv: [] });
  let stopping = false;
  worker.on("message", report);
  worker.on("error", (error: unknown) => failed(error instanceof Error ? error.message : String(error)));
  worker.on("exit", (code) => {
    if (!stopping) failed(`exited with code ${code}`);
  });
  worker.unref();
  return {
    send: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    hold: (on) => (on ? worker.ref() : worker.unref()),
    async stop() {
      stopping = true;
      await worker.terminate();
    },
  };
}

function browserThread({ report, failed }: Listeners): Thread {
  const worker = new Worker(new URL("../dist/worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => report(data as Report);
  worker.onerror = (event) => failed(event.message || "the worker's script did not load");
  return {
    send: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    hold: () => {},
    async stop() {
      worker.terminate();
    },
  };
}
