import { type Backend, Buffers, type Slice } from "@ziggurat/tensor";
import type { Matrix } from "../weights/matrix.js";
import type { Decoder } from "./decoder.js";

/**
 * Gram matrices of the output projections: for every query head W^T W, where W [hidden, headSize] is the part of the
 * projection that reads the head's output. A layer's are computed when they are first asked for, and kept: 4 x
 * queryHeads x headSize^2 bytes a layer.
 */
export class OutputGrams {
  readonly #backend: Backend;
  readonly #decoder: Pick<Decoder, "queryHeads" | "headSize">;
  readonly #outputs: readonly Matrix[];
  readonly #buffers: Buffers;
  readonly #known = new Map<number, Promise<Slice>>();

  /** `outputs`: the projection of each layer. */
  constructor(backend: Backend, decoder: Pick<Decoder, "queryHeads" | "headSize">, outputs: readonly Matrix[]) {
    this.#backend = backend;
    this.#decoder = decoder;
    this.#outputs = outputs;
    this.#buffers = new Buffers(backend);
  }

  /** f32 [queryHeads, headSize, headSize] of a layer. */
  of(layer: number): Promise<Slice> {
    const known = this.#known.get(layer) ?? this.#compute(this.#outputs[layer]!);
    this.#known.set(layer, known);
    return known;
  }

  async #compute({ slice: weight, dtype, out: hidden, width }: Matrix): Promise<Slice> {
    const backend = this.#backend;
    const { queryHeads, headSize } = this.#decoder;
    const words = headSize * headSize;
    const grams = this.#buffers.allocate(4 * queryHeads * words, "grams");
    const temporary = new Buffers(backend);
    try {
      const identity = temporary.allocate(4 * headSize * width, "workspace");
      const columns = temporary.allocate(4 * headSize * hidden, "workspace");
      // The projection of unit vectors is the head's part of the matrix, transposed.
      const read = await backend.prepare("linear", { rows: headSize, width, out: hidden, weight: dtype });
      const square = await backend.prepare("linear", { rows: headSize, width: hidden, out: headSize, weight: "f32" });
      for (let head = 0; head < queryHeads; head++) {
        const ones = new Float32Array(headSize * width);
        for (let row = 0; row < headSize; row++) ones[row * width + head * headSize + row] = 1;
        backend.write(identity, ones);
        backend.dispatch(read, { x: identity, weight, out: columns });
        const out = { buffer: grams.buffer, offset: grams.offset + 4 * head * words };
        backend.dispatch(square, { x: columns, weight: columns, out });
      }
      return grams;
    } finally {
      temporary.free();
    }
  }

  free(): void {
    this.#known.clear();
    this.#buffers.free();
  }
}
