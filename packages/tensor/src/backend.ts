import type { Buffer, Slice } from "./buffer.js";
import type { Operands, OpName, Spec } from "./catalogue.js";

export type { Buffer, Slice };

// What a device must offer. A backend knows nothing of models or policies: it holds bytes and runs the ops of the
// catalogue. Everything that only enqueues is synchronous; commands run in the order in which they were enqueued.
//
// Enqueuing throws if the call itself is wrong. Failures of the device (such as running out of memory) surface later:
// the buffer is marked lost, and so is everything computed from it. A `read` of a lost buffer rejects with the error,
// and so does the next `synchronise`, unless the buffer was freed by then. Callers that share a backend should
// therefore wait by reading a buffer of their own. A device that cannot say which buffers are lost rejects the next
// `read`, whoever calls it.

/** An op compiled for a spec. Cheap to prepare again: backends keep what is costly. */
export interface Kernel<N extends OpName = OpName> {
  readonly op: N;
  readonly spec: Spec<N>;
}

/** Dispatches that were recorded, in order. What changes between replays is in device memory. */
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
  /** A description that a user recognises: threads and SIMD level, adapter, device. */
  readonly device: string;
  /** Features that were chosen at start, for reports. */
  readonly features: Readonly<Record<string, string | number | boolean>>;
  /** Tokens that one pass of prefill should hold, in rows of its matrix products. */
  readonly prefillTokens: number;
  /** Bytes that all buffers together may take; Infinity if the device does not say. */
  readonly maxBytes: number;
}

export interface Backend {
  readonly info: BackendInfo;
  /**
   * Zeroed bytes, counted under `label`, or under several labels whose bytes add up to `bytes`. If there is no memory
   * for them, the buffer is lost. Throws a `BufferError` if the numbers make no sense.
   */
  allocate(bytes: number, label: string | Readonly<Record<string, number>>): Buffer;
  /** Frees the bytes once the commands enqueued so far have run. Throws a `BufferError` if it was freed before. */
  free(buffer: Buffer): void;
  /** Copies `data` now and writes it in order; `data` may be changed afterwards. */
  write(target: Slice, data: ArrayBufferView): void;
  /** The bytes as they are after everything enqueued before. Rejects if they are lost. */
  read(source: Slice, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Rejects with an `OpError` if the spec breaks the catalogue, and with an `OutOfMemoryError` if there is no memory
   * for the scratch that the kernel needs.
   */
  prepare<N extends OpName>(op: N, spec: Spec<N>): Promise<Kernel<N>>;
  /** Throws an `OpError` if operands are missing, freed or too small. */
  dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>): void;
  /** Calls `body` at once and records its dispatches without running them. `body` may only dispatch. */
  record(body: () => void): Program;
  /** Runs the dispatches of a program. Throws an `OpError` if a buffer that it uses was freed. */
  replay(program: Program): void;
  /** Drops a recorded program; its buffers may be freed afterwards. */
  release(program: Program): void;
  /** Resolves when everything enqueued so far has run; rejects with the first error since the last call. */
  synchronise(): Promise<void>;
  memory(): MemoryReport;
  /** Sets the peaks to the present `live` bytes, so that the next piece of work has its own peaks. */
  resetPeak(): void;
  /** Frees everything. Calls throw afterwards, and what is under way may reject. */
  dispose(): Promise<void>;
}
