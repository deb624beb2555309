import type { Backend, Buffer, Slice } from "@ziggurat/tensor";

/**
 * Buffers of one owner: allocated one by one, given back together. Where one is refused, those before it are given
 * back.
 */
export class Buffers {
  readonly #backend: Backend;
  #owned: Buffer[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Zeroed bytes, from the start of a buffer of their own. */
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

  /** Gives everything back; again is fine. */
  free(): void {
    const owned = this.#owned;
    this.#owned = [];
    for (const buffer of owned) this.#backend.free(buffer);
  }
}
