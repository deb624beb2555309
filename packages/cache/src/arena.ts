import { type Backend, Buffers, elementBytes, type RowDType, type Slice } from "@ziggurat/tensor";
import { rowBytes } from "./shape.js";

/** Sizes of an arena. */
export interface ArenaSize {
  /** Rows of each head's region. */
  readonly capacity: readonly number[];
  /** Rows that each head holds after the prompt; the rest of a region is room for tokens to come. */
  readonly held: readonly number[];
  readonly headSize: number;
  readonly planes: number;
  readonly dtype: RowDType;
}

/** One layer's rows of all heads of all sequences: K, V and cells, allocated once. See {@link Cache} for a drawing. */
export class Arena {
  readonly rows: number;
  /** Row where each head's region starts. */
  readonly offsets: readonly number[];
  readonly capacity: readonly number[];
  readonly held: readonly number[];
  readonly keys: Slice;
  readonly values: Slice;
  readonly cells: Slice;
  /** Bytes of rows for tokens to come. */
  readonly room: number;
  readonly #buffers: Buffers;

  constructor(backend: Backend, { capacity, held, headSize, planes, dtype }: ArenaSize) {
    this.#buffers = new Buffers(backend);
    this.capacity = capacity;
    this.held = held;
    let rows = 0;
    this.offsets = capacity.map((n) => (rows += n) - n);
    this.rows = rows;
    const kept = held.reduce((sum, n, head) => sum + Math.min(n, capacity[head]!), 0);
    const allocate = (bytesPerRow: number) =>
      this.#buffers.allocate(rows * bytesPerRow, { cache: kept * bytesPerRow, room: (rows - kept) * bytesPerRow });
    this.keys = allocate(headSize * elementBytes[dtype]);
    this.values = allocate(headSize * elementBytes[dtype]);
    this.cells = allocate(4 * planes);
    this.room = (rows - kept) * rowBytes(headSize, dtype, planes);
  }

  /** Whether the regions and their room are those of these sizes. */
  fits({ capacity, held }: Pick<ArenaSize, "capacity" | "held">): boolean {
    const same = (a: readonly number[], b: readonly number[]) =>
      a.length === b.length && a.every((rows, head) => rows === b[head]);
    return same(this.capacity, capacity) && same(this.held, held);
  }

  /** One plane of cells, [rows]. */
  plane(index: number): Slice {
    return { buffer: this.cells.buffer, offset: 4 * index * this.rows };
  }

  get bytes(): number {
    return this.#buffers.bytes;
  }

  free(): void {
    this.#buffers.free();
  }
}
