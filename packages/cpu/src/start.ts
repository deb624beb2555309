import type { Device } from "./device.js";
import { CpuError } from "./error.js";
import { type Build, canShare, compileKernels, parallelism, startThread, trustsRelaxed } from "./host.js";
import type { Report, Start } from "./messages.js";
import { SharedDevice } from "./shared-device.js";
import { SingleDevice } from "./single-device.js";
import { Waiting } from "./waiting.js";

export type SimdLevel = "base" | "relaxed";

export interface CpuOptions {
  /**
   * Worker threads: 1 to 64. Default: as many as the machine runs at once, at most 16. Always 1 if memory cannot be
   * shared.
   */
  readonly threads?: number;
  /**
   * "auto" uses relaxed SIMD if the engine has it and computes it correctly. "relaxed" rejects if it does not.
   */
  readonly simd?: "auto" | SimdLevel;
  /** Bytes that all buffers together, padding and workspace included, may take: default and most 4 GiB. */
  readonly maxBytes?: number;
  /** Whether workers share memory; default wherever they can (Node; pages that are cross-origin isolated). */
  readonly shared?: boolean;
}

export interface Started {
  readonly device: Device;
  readonly simd: SimdLevel;
  readonly shared: boolean;
  readonly maxBytes: number;
}

const pageBytes = 65536;
const mostPages = 65536;

/** A module with one relaxed multiply-add: (func (drop (f32x4.relaxed_madd ...))). */
const relaxedProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 20, 1, 18, 0],
  ...[65, 0, 253, 17, 65, 0, 253, 17, 65, 0, 253, 17, 253, 133, 2, 26, 11],
);

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new CpuError(`cpu: ${name} is ${value}; it must be a whole number from ${least} to ${most}`);
}

/** Starts the workers. Rejects with a {@link CpuError}. */
export async function start(options: CpuOptions): Promise<Started> {
  const { simd = "auto", shared = canShare() } = options;
  const maxBytes = whole("maxBytes", options.maxBytes ?? mostPages * pageBytes, 2 ** 20, mostPages * pageBytes);
  const threads = whole("threads", options.threads ?? Math.min(parallelism(), 16), 1, 64);
  if (shared && !canShare())
    throw new CpuError("cpu: memory cannot be shared here; the page must be cross-origin isolated");
  if (!["auto", "base", "relaxed"].includes(simd))
    throw new CpuError(`cpu: simd is ${simd}; it must be auto, base or relaxed`);
  const relaxed = trustsRelaxed() && WebAssembly.validate(relaxedProbe);
  if (simd === "relaxed" && !relaxed) throw new CpuError("cpu: this engine has no relaxed SIMD that can be relied on");

  const level: SimdLevel = simd !== "base" && relaxed ? "relaxed" : "base";
  const started = await startAt(level, shared, shared ? threads : 1, maxBytes);
  if (!started.wrong) return started;
  await started.device.stop();
  if (simd === "relaxed") throw new CpuError(`cpu: this engine computes relaxed SIMD wrongly (${started.wrong})`);
  return await startAt("base", shared, shared ? threads : 1, maxBytes);
}

async function startAt(
  simd: SimdLevel,
  shared: boolean,
  threads: number,
  maxBytes: number,
): Promise<Started & { wrong: string | undefined }> {
  const module = await compileKernels(`${simd}-${shared ? "shared" : "single"}` as Build);
  const memory = shared ? sharedMemory() : undefined;
  const waiting = new Waiting();
  let wrong: string | undefined;
  const workers = Array.from({ length: threads }, (_, thread) => {
    let up: () => void;
    let down: (error: Error) => void;
    const ready = new Promise<void>((resolve, reject) => {
      up = resolve;
      down = reject;
    });
    const failed = (reason: string) => {
      waiting.fail(reason);
      down(new CpuError(`cpu: a worker did not start: ${reason}`));
    };
    const report = (message: Report) => {
      if ("error" in message) return failed(message.error);
      if (!("ready" in message)) return waiting.report(message);
      wrong ??= message.wrong;
      up();
    };
    const worker = startThread(`ziggurat-cpu-${thread}`, { report, failed });
    const first: Start = { module, thread, threads, maximumPages: mostPages, ...(memory ? { memory } : {}) };
    worker.hold(true);
    worker.send(first);
    return { worker, ready };
  });
  waiting.threads = workers.map(({ worker }) => worker);
  await Promise.all(workers.map(({ ready }) => ready));
  for (const thread of waiting.threads) thread.hold(false);
  const device = memory
    ? new SharedDevice(memory, threads, maxBytes, waiting)
    : new SingleDevice(waiting.threads[0]!, maxBytes, waiting);
  return { device, simd, shared, maxBytes, wrong };
}

/**
 * A shared memory must state its maximum size. If the system does not reserve as much address space, tries less.
 */
function sharedMemory(): WebAssembly.Memory {
  for (let maximum = mostPages; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared: true });
    } catch (cause) {
      if (maximum <= 4096) throw new CpuError("cpu: no memory could be reserved for the workers", { cause });
    }
  }
}
