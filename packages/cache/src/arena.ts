import { type Backend, type Buffer, elementBytes, type RowDType, type Slice } from "@ziggurat/tensor";
import { rowBytes } from "./shape.js";

/** What an arena is made for. */
export interface ArenaSize {
  /** Rows of each head's region. */
  readonly capacity: readonly number[];
  /** Rows of each head that the budget asks for; the rest of a region is room for tokens to come. */
  readonly held: readonly number[];
  readonly headSize: number;
  readonly planes: number;
  readonly dtype: RowDType;
}

/** One layer's rows of all heads of all sequences: K, V and cells, allocated once. */
export class Arena {
  readonly rows: number;
  /** Row where each head's region starts. */
  readonly offsets: readonly number[];
  readonly capacity: readonly number[];
  readonly keys: Slice;
  readonly values: Slice;
  readonly cells: Slice;
  /** Bytes of rows for tokens to come. */
  readonly room: number;
  readonly #backend: Backend;
  readonly #buffers: Buffer[] = [];

  constructor(backend: Backend, { capacity, held, headSize, planes, dtype }: ArenaSize) {
    this.#backend = backend;
    this.capacity = capacity;
    let rows = 0;
    this.offsets = capacity.map((n) => (rows += n) - n);
    this.rows = rows;
    const kept = held.reduce((sum, n, head) => sum + Math.min(n, capacity[head]!), 0);
    const allocate = (bytesPerRow: number): Slice => {
      const buffer = backend.allocate(rows * bytesPerRow, { cache: kept * bytesPerRow, room: (rows - kept) * bytesPerRow });
      this.#buffers.push(buffer);
      return { buffer, offset: 0 };
    };
    this.keys = allocate(headSize * elementBytes[dtype]);
    this.values = allocate(headSize * elementBytes[dtype]);
    this.cells = allocate(4 * planes);
    this.room = (rows - kept) * rowBytes(headSize, dtype, planes);
  }

  /** One plane of cells, [rows]. */
  plane(index: number): Slice {
    return { buffer: this.cells.buffer, offset: 4 * index * this.rows };
  }

  get bytes(): number {
    return this.#buffers.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  free(): void {
    for (const buffer of this.#buffers.splice(0)) this.#backend.free(buffer);
  }
}
