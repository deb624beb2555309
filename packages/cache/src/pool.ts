import type { Backend, Buffer } from "@ziggurat/tensor";
import type { Allocator } from "@ziggurat/tensor/expression";
import { Buffers } from "./buffers.js";

/**
 * Temporaries that are taken again in the order of the commands: what one layer has done with, the next may use.
 * Buffers are matched by size.
 */
export class Pool implements Allocator {
  readonly #label: string;
  readonly #owned: Buffers;
  readonly #idle: Buffer[] = [];

  constructor(backend: Backend, label: string) {
    this.#owned = new Buffers(backend);
    this.#label = label;
  }

  allocate(bytes: number): Buffer {
    const at = this.#idle.findIndex((buffer) => buffer.bytes === bytes);
    if (at >= 0) return this.#idle.splice(at, 1)[0]!;
    return this.#owned.allocate(bytes, this.#label).buffer;
  }

  free(buffer: Buffer): void {
    this.#idle.push(buffer);
  }

  /** Gives everything back to the backend. */
  dispose(): void {
    this.#idle.length = 0;
    this.#owned.free();
  }
}
