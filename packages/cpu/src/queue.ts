import type { Device } from "./device.js";
import { head, Words } from "./encode.js";
import type { Block } from "./heap.js";

/** Data up to this many bytes travels inside the commands. */
const inlineBytes = 4096;
/** Commands are handed over when there are this many words, or at the end of the present microtask. */
const batchWords = 1 << 15;

/**
 * Commands on their way to the workers, in order, and the memory that they use. Methods throw an `OutOfMemoryError`
 * where there is none; no command is lost then.
 */
export class Queue {
  /** What is not handed over yet. After adding to it call {@link enqueued}. */
  readonly words = new Words();
  readonly #device: Device;
  #scratch: { block: Block; shared: number; thread: number } | undefined;
  #flushing = false;
  #stopped = false;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Hands over what there is. */
  flush(): void {
    const { words } = this;
    if (words.length === 0) return;
    this.#device.submit(words.all);
    words.clear();
  }

  /** Commands were added: hands them over before long; at once where there are many. */
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
      // There is no memory for the batch: its commands stay, and who waits for them tries again, and is told.
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

  /** Gives memory back once the commands enqueued so far have run. */
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
      // Any command enqueued so far may still use it, while batches and what the host writes are put where no command
      // is at work.
      scratch.block.used = this.#device.next;
      this.free(scratch.block);
    }
    this.#scratch = { block, ...room };
    this.words.push(head("scratch", 4), block.address, block.address + room.shared, room.thread);
    this.enqueued();
  }

  /** Nothing is handed over any more. */
  stop(): void {
    this.#stopped = true;
  }
}
