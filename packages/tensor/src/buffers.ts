import type { Backend, Buffer, Slice } from "./backend.js";

/**
 * Buffers of one owner: allocated one by one, freed together. If an allocation fails, those before it are freed as
 * well.
 */
export class Buffers {
  readonly #backend: Backend;
  #owned: Buffer[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Zeroed bytes at the start of a new buffer. */
  allocate(bytes: number, label: string | Readonly<Record<string, number>>): Slice {
    try {
      const buffer = this.#backend.allocate(bytes, label);
      this.#owned.push(buffer);
      return { buffer, offset: 0 };
    } catch (error) {
      this.free();
      throw error;
    }
  }

  get bytes(): number {
    return this.#owned.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Frees every buffer. May be called again. */
  free(): void {
    const owned = this.#owned;
    this.#owned = [];
    for (const buffer of owned) this.#backend.free(buffer);
  }
}
