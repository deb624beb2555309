import type { Buffer, Slice } from "./buffer.js";
import type { Operands, OpName, Spec } from "./catalogue.js";

export type { Buffer, Slice };

// What a device must offer. A backend knows nothing of models or policies: it holds bytes and runs the ops of the
// catalogue. Everything that only enqueues is synchronous; commands run in the order in which they were enqueued.
//
// Enqueuing throws what is wrong with the call. What cannot be done, as an allocation where there is no memory, is told
// later. The bytes that it concerns are lost, and so are those that were to be computed from them: `read` of them
// rejects with the error, and so does the next `synchronise`, unless they were freed by then. Who shares a backend with
// others therefore waits by reading something of its own. A device that does not say which bytes are lost has every
// next `read` reject: there an error may reach whoever waits first, and not who caused it.

/** An op made ready for its spec. Free to make again: backends keep what is costly. */
export interface Kernel<N extends OpName = OpName> {
  readonly op: N;
  readonly spec: Spec<N>;
}

/** Dispatches that were recorded in order, to be replayed. What changes between replays lives in device memory. */
export interface Program {
  readonly dispatches: number;
}

export interface LabelBytes {
  /** Bytes asked for and not freed. */
  readonly live: number;
  /** The most that `live` has been. */
  readonly peak: number;
}

export interface MemoryReport {
  /** Bytes asked for and not freed, over all labels. */
  readonly live: number;
  /** Bytes that the backend holds from the system for buffers: padding and pools included, never less than `live`. */
  readonly reserved: number;
  /** The most that `live` has been since the start, or since `resetPeak`. */
  readonly peak: number;
  readonly labels: Readonly<Record<string, LabelBytes>>;
}

export interface BackendInfo {
  /** "reference", "cpu", "webgpu", "cuda" or another backend's own name. */
  readonly name: string;
  /** What the user would recognise: threads and SIMD level, adapter, device. */
  readonly device: string;
  /** Features chosen at start, for reports. */
  readonly features: Readonly<Record<string, string | number | boolean>>;
  /** Tokens that one pass of prefill should hold, in rows of its matrix products. */
  readonly prefillTokens: number;
  /** Bytes that all buffers together may take, or Infinity where the device does not say. */
  readonly maxBytes: number;
}

export interface Backend {
  readonly info: BackendInfo;
  /**
   * Zeroed bytes, counted under `label`; or under several labels whose bytes add up to `bytes`. Where there is no
   * memory for them they are lost.
   */
  allocate(bytes: number, label: string | Readonly<Record<string, number>>): Buffer;
  /** Gives the bytes back once the commands enqueued so far have run. Freeing twice throws. */
  free(buffer: Buffer): void;
  /** Copies `data` now, to be written in order; `data` may be changed afterwards. */
  write(target: Slice, data: ArrayBufferView): void;
  /** The bytes as they are after all that was enqueued before. Rejects where they are lost. */
  read(source: Slice, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Rejects with an `OpError` where the spec breaks the catalogue, and with an `OutOfMemoryError` where the kernel
   * needs more scratch than there is.
   */
  prepare<N extends OpName>(op: N, spec: Spec<N>): Promise<Kernel<N>>;
  /** Throws an `OpError` where operands are missing, freed or too small. */
  dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>): void;
  /** Runs `body` at once; what it dispatches is recorded and not run. `body` may only dispatch. */
  record(body: () => void): Program;
  replay(program: Program): void;
  /** Drops a recorded program; its buffers may be freed afterwards. */
  release(program: Program): void;
  /** Resolves when everything enqueued so far has run; rejects with the first error since the last call. */
  synchronise(): Promise<void>;
  memory(): MemoryReport;
  /** Makes the present `live` bytes the peaks, so that the next stretch of work has its own. */
  resetPeak(): void;
  /** Gives everything back. The backend is of no use afterwards; what is under way may reject. */
  dispose(): Promise<void>;
}
