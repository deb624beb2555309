import { type Backend, type Buffer, Buffers, type Slice } from "@ziggurat/tensor";
import type { Allocator } from "@ziggurat/tensor/expression";

/**
 * Temporaries of recorded or enqueued commands. Commands run in order, so a buffer that one layer has finished with is
 * reused by the next. Buffers are matched by size.
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

  /** 32-bit numbers of any value. */
  take(words: number): Slice {
    return { buffer: this.allocate(4 * words), offset: 0 };
  }

  free(buffer: Buffer): void {
    this.#idle.push(buffer);
  }

  /** Frees every buffer. May be called again. */
  dispose(): void {
    this.#idle.length = 0;
    this.#owned.free();
  }
}
