import type { Block, Heap } from "./heap.js";

/** The workers and their memory, as the backend sees them. Batches run in the order in which they are submitted. */
export interface Device {
  readonly threads: number;
  /** The number of the next batch; marks the blocks that it uses. */
  readonly next: number;
  /** Submits a batch of commands. The words are copied. */
  submit(words: Int32Array): void;
  /** Writes at once if no pending batch uses the block, without waking a worker. Returns whether it did. */
  writeNow(block: Block, offset: number, data: Uint8Array): boolean;
  /** Copies `data` now, to be written at `offset` of a block. */
  write(block: Block, offset: number, data: Uint8Array): void;
  read(block: Block, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Resolves when all batches are done; rejects with a `CpuError` once a worker has failed. */
  synchronise(): Promise<void>;
  readonly heap: Heap;
  /** Stops the workers; pending promises reject. */
  stop(): Promise<void>;
}
