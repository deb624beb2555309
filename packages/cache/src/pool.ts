import type { Allocator, Backend, Buffer } from "@ziggurat/tensor";

/**
 * Temporaries that are taken again in the order of the commands: what one layer has done with, the next may use. Buffers are matched by size.
 */
export class Pool implements Allocator {
  readonly #backend: Backend;
  readonly #label: string;
  readonly #owned: Buffer[] = [];
  readonly #idle: Buffer[] = [];

  constructor(backend: Backend, label: string) {
    this.#backend = backend;
    this.#label = label;
  }

  allocate(bytes: number): Buffer {
    const at = this.#idle.findIndex((buffer) => buffer.bytes === bytes);
    if (at >= 0) return this.#idle.splice(at, 1)[0]!;
    const buffer = this.#backend.allocate(bytes, this.#label);
    this.#owned.push(buffer);
    return buffer;
  }

  free(buffer: Buffer): void {
    this.#idle.push(buffer);
  }

  /** Gives everything back to the backend. */
  dispose(): void {
    this.#idle.length = 0;
    for (const buffer of this.#owned.splice(0)) this.#backend.free(buffer);
  }
}
