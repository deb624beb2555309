import { BufferError, OutOfMemoryError } from "@ziggurat/tensor";
import type { Device } from "./device.js";
import { head } from "./encode.js";
import { type Block, Heap } from "./heap.js";
import { COMPLETED, FIRST_BATCH, HEADER_BYTES, HEAP_START, SUBMITTED } from "./layout.js";
import type { Waiting } from "./waiting.js";

const pageBytes = 65536;

/**
 * Workers on one shared memory. Batches of commands are in that memory, each pointing to the next. The host increments
 * a counter and wakes the workers, so that no message is needed to start. They send a message when a batch is done that
 * the host waits for.
 */
export class SharedDevice implements Device {
  readonly threads: number;
  readonly heap: Heap;
  readonly #memory: WebAssembly.Memory;
  readonly #waiting: Waiting;
  /** Places for batches; one may be used again once the batch after it is done, for all workers have left it then. */
  readonly #places: { readonly block: Block; number: number }[] = [];
  #words: Int32Array;
  #last = FIRST_BATCH;
  next = 1;

  constructor(memory: WebAssembly.Memory, threads: number, maxBytes: number, waiting: Waiting) {
    this.threads = threads;
    this.#memory = memory;
    this.#waiting = waiting;
    this.#words = new Int32Array(memory.buffer);
    this.heap = new Heap(HEAP_START, memory.buffer.byteLength, maxBytes, (bytes) => this.#grow(bytes));
  }

  #grow(bytes: number): void {
    const held = this.#memory.buffer.byteLength;
    try {
      this.#memory.grow(Math.ceil((bytes - held) / pageBytes));
    } catch (cause) {
      throw new OutOfMemoryError(`the system gives no more than ${held} bytes; ${bytes} were asked for`, { cause });
    }
    this.#words = new Int32Array(this.#memory.buffer);
  }

  get #completed(): number {
    return Atomics.load(this.#words, COMPLETED / 4);
  }

  #bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  submit(words: Int32Array): void {
    this.#submit(words, false);
  }

  #submit(words: Int32Array, awaited: boolean): void {
    const need = HEADER_BYTES + 4 * words.length;
    const completed = this.#completed;
    let place = this.#places.find(({ block, number }) => block.bytes >= need && number < completed);
    if (!place) {
      // Larger than needed, so that later batches fit as well.
      place = { block: this.heap.allocate(Math.max(2 * need, 4096), completed).block, number: 0 };
      this.#places.push(place);
    }
    // The batch gets its number only now, when nothing can fail any more.
    const number = this.next++;
    place.number = number;
    const header = place.block.address;
    this.#words.set([0, words.length, Number(awaited), 0], header / 4);
    this.#words.set(words, (header + HEADER_BYTES) / 4);
    this.#words[this.#last / 4] = header;
    this.#last = header;
    Atomics.store(this.#words, SUBMITTED / 4, number);
    Atomics.notify(this.#words, SUBMITTED / 4);
  }

  writeNow(block: Block, offset: number, data: Uint8Array): boolean {
    if (block.used > this.#completed) return false;
    this.#bytes(block.address + offset, data.length).set(data);
    return true;
  }

  write(block: Block, offset: number, data: Uint8Array): void {
    if (this.writeNow(block, offset, data)) return;
    const { block: staging } = this.heap.allocate(data.length, this.#completed);
    this.#bytes(staging.address, data.length).set(data);
    try {
      block.used = this.#move(block.address + offset, staging, staging.address, data.length, false);
    } finally {
      this.heap.free(staging);
    }
  }

  async read(block: Block, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    if (block.used <= this.#completed) {
      this.#waiting.check();
      return this.#bytes(block.address + offset, bytes).slice() as Uint8Array<ArrayBuffer>;
    }
    // Copied by a command, in order, because later commands may overwrite it before this thread reads.
    const { block: staging } = this.heap.allocate(bytes);
    try {
      const number = this.#move(staging.address, staging, block.address + offset, bytes, true);
      block.used = number;
      await this.#waiting.answer(number);
      return this.#bytes(staging.address, bytes).slice() as Uint8Array<ArrayBuffer>;
    } finally {
      this.heap.free(staging);
    }
  }

  /** Enqueues a copy from or to `staging`; returns the number of its batch. */
  #move(to: number, staging: Block, from: number, bytes: number, awaited: boolean): number {
    const number = this.next;
    this.#submit(Int32Array.of(head("move", 4), to, from, bytes), awaited);
    staging.used = number;
    return number;
  }

  async synchronise(): Promise<void> {
    if (this.#completed >= this.next - 1) {
      this.#waiting.check();
      return;
    }
    const number = this.next;
    this.#submit(new Int32Array(0), true);
    await this.#waiting.answer(number);
  }

  async stop(): Promise<void> {
    this.#waiting.end(new BufferError("this backend was disposed of"));
    await Promise.all(this.#waiting.threads.map((thread) => thread.stop()));
  }
}
