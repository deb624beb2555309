import type { Block, Heap } from "./heap.js";

/** The workers and their memory, as the backend sees them. What is handed over is carried out in order. */
export interface Device {
  readonly threads: number;
  /** Number of the batch that is handed over next; marks the blocks that it touches. */
  readonly next: number;
  /** Hands over a batch of commands. The words are copied. */
  submit(words: Int32Array): void;
  /** Writes at once where no batch touches the block, and says whether it did: no worker needs to be woken for it. */
  writeNow(block: Block, offset: number, data: Uint8Array): boolean;
  /** Copies `data` now, to be written at `offset` of a block. */
  write(block: Block, offset: number, data: Uint8Array): void;
  read(block: Block, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Resolves when all that was handed over is done; rejects with a `CpuError` once a worker has failed. */
  synchronise(): Promise<void>;
  readonly heap: Heap;
  /** Stops the workers; what is waited for rejects. */
  stop(): Promise<void>;
}
