import { BufferError } from "@ziggurat/tensor";
import type { Device } from "./device.js";
import { type Block, Heap } from "./heap.js";
import type { Thread } from "./host.js";
import { HEAP_START } from "./layout.js";
import type { Order } from "./messages.js";
import type { Waiting } from "./waiting.js";

/** One worker with a memory of its own, for pages that may not share any: everything goes by message. */
export class SingleDevice implements Device {
  readonly threads = 1;
  readonly heap: Heap;
  readonly #worker: Thread;
  readonly #waiting: Waiting;
  #questions = 0;
  next = 1;

  constructor(worker: Thread, maxBytes: number, waiting: Waiting) {
    this.#worker = worker;
    this.#waiting = waiting;
    this.heap = new Heap(HEAP_START, HEAP_START, maxBytes, (bytes) => this.#send({ do: "grow", bytes }));
  }

  #send(order: Order, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.send(order, transfer);
  }

  submit(words: Int32Array): void {
    const copy = words.slice();
    const { block } = this.heap.allocate(copy.byteLength);
    this.next++;
    this.#send({ do: "run", address: block.address, words: copy }, [copy.buffer]);
    this.heap.free(block);
  }

  writeNow(): boolean {
    return false;
  }

  write(block: Block, offset: number, data: Uint8Array): void {
    const copy = data.slice();
    this.#send({ do: "write", address: block.address + offset, data: copy }, [copy.buffer]);
  }

  async read(block: Block, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const id = ++this.#questions;
    this.#send({ do: "read", id, address: block.address + offset, bytes });
    return (await this.#waiting.answer(id))!;
  }

  async synchronise(): Promise<void> {
    const id = ++this.#questions;
    this.#send({ do: "synchronise", id });
    await this.#waiting.answer(id);
  }

  async stop(): Promise<void> {
    this.#waiting.end(new BufferError("this backend was disposed of"));
    await this.#worker.stop();
  }
}
