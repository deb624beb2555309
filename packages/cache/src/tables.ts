import type { Backend, Buffers, Slice } from "@ziggurat/tensor";

/** 32-bit words that the tables of these layers and sequences take. */
export const tableWords = (layers: number, sequences: number, kvHeads: number): number =>
  sequences * (kvHeads * (3 * layers + 1) + 1);

/**
 * i32 tables in device memory: where each head's rows are and how many there are. Everything that changes from step to
 * step is here, so a recorded step can be replayed.
 */
export class Tables {
  readonly sequences: number;
  readonly kvHeads: number;
  readonly #backend: Backend;
  readonly #words: Slice;
  readonly #layers: number;

  /** `buffers` owns the memory. */
  constructor(backend: Backend, buffers: Buffers, layers: number, sequences: number, kvHeads: number, label: string) {
    this.#backend = backend;
    this.#layers = layers;
    this.sequences = sequences;
    this.kvHeads = kvHeads;
    this.#words = buffers.allocate(4 * tableWords(layers, sequences, kvHeads), label);
  }

  #at(word: number): Slice {
    return { buffer: this.#words.buffer, offset: 4 * word };
  }

  #perLayer(table: number, layer: number, sequence: number): Slice {
    const heads = this.sequences * this.kvHeads;
    return this.#at((table * this.#layers + layer) * heads + sequence * this.kvHeads);
  }

  /** Row where each head's region starts, from a sequence on. */
  offset(layer: number, sequence = 0): Slice {
    return this.#perLayer(0, layer, sequence);
  }

  /** Rows that each head holds, from a sequence on. */
  length(layer: number, sequence = 0): Slice {
    return this.#perLayer(1, layer, sequence);
  }

  /** Rows that each head keeps when its layer is compressed next, from a sequence on. */
  keep(layer: number, sequence = 0): Slice {
    return this.#perLayer(2, layer, sequence);
  }

  /** Tokens that each sequence has read, once per KV head, from a sequence on. */
  seen(sequence = 0): Slice {
    return this.#at(3 * this.#layers * this.sequences * this.kvHeads + sequence * this.kvHeads);
  }

  /** Not 0 for a sequence that has ended, from a sequence on. */
  ended(sequence = 0): Slice {
    return this.#at((3 * this.#layers + 1) * this.sequences * this.kvHeads + sequence);
  }

  write(slice: Slice, values: readonly number[]): void {
    this.#backend.write(slice, Int32Array.from(values));
  }
}
