import type { Device } from "./device.js";
import { head, Words } from "./encode.js";
import type { Block } from "./heap.js";

/** Data of up to this many bytes is part of the commands. */
const inlineBytes = 4096;
/** Commands are submitted when there are this many words, or at the end of the present microtask. */
const batchWords = 1 << 15;

/**
 * Commands on their way to the workers, in order, and the memory that they use. Methods throw an `OutOfMemoryError` if
 * there is no memory; no command is lost then.
 */
export class Queue {
  /** Commands that are not submitted yet. Call {@link enqueued} after adding to them. */
  readonly words = new Words();
  readonly #device: Device;
  #scratch: { block: Block; shared: number; thread: number } | undefined;
  #flushing = false;
  #stopped = false;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Submits all commands. */
  flush(): void {
    const { words } = this;
    if (words.length === 0) return;
    this.#device.submit(words.all);
    words.clear();
  }

  /** To be called when commands were added. Schedules a flush, or flushes at once if there are many. */
  enqueued(): void {
    if (this.words.length >= batchWords) this.#attempt();
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      if (!this.#stopped) this.#attempt();
    });
  }

  #attempt(): void {
    try {
      this.flush();
    } catch {
      // No memory for the batch: keep it. The next flush retries it and reports the error.
    }
  }

  /** Zeroed memory that the commands enqueued from now on may use. */
  take(bytes: number): Block {
    const { block, fresh } = this.#device.heap.allocate(bytes);
    if (!fresh) {
      this.words.push(head("zero", 3), block.address, block.bytes);
      block.used = this.#device.next;
      this.enqueued();
    }
    return block;
  }

  /** Frees memory once the commands enqueued so far have run. */
  free(block: Block): void {
    this.#device.heap.free(block);
  }

  write(block: Block, offset: number, data: Uint8Array): void {
    const { words } = this;
    if (this.#device.writeNow(block, offset, data)) return;
    if (data.length > inlineBytes || data.length === 0) {
      this.flush();
      if (data.length > 0) this.#device.write(block, offset, data);
      return;
    }
    const count = 3 + Math.ceil(data.length / 4);
    const at = words.take(count);
    words.words.set([head("inline", count), block.address + offset, data.length], at);
    new Uint8Array(words.words.buffer, 4 * (at + 3), data.length).set(data);
    block.used = this.#device.next;
    this.enqueued();
  }

  /** Makes the workers' scratch memory large enough. */
  makeRoom(shared: number, thread: number): void {
    const scratch = this.#scratch;
    const stride = Math.ceil(thread / 64) * 64 + 64;
    if (scratch && scratch.shared >= shared && scratch.thread >= stride) return;
    const room = {
      shared: Math.max(scratch?.shared ?? 0, Math.ceil(shared / 64) * 64),
      thread: Math.max(scratch?.thread ?? 0, stride),
    };
    const { block } = this.#device.heap.allocate(room.shared + this.#device.threads * room.thread);
    if (scratch) {
      // Commands enqueued so far may still use it. Batches and the host's writes only take memory that no command uses.
      scratch.block.used = this.#device.next;
      this.free(scratch.block);
    }
    this.#scratch = { block, ...room };
    this.words.push(head("scratch", 4), block.address, block.address + room.shared, room.thread);
    this.enqueued();
  }

  /** Submits nothing from now on. */
  stop(): void {
    this.#stopped = true;
  }
}
