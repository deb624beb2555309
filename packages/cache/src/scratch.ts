import { type Backend, Buffers, elementBytes, type RowDType, type Slice } from "@ziggurat/tensor";
import type { ScratchTarget } from "./plan.js";
import type { CacheShape } from "./shape.js";
import { Tables } from "./tables.js";

/**
 * One layer's full K and V while a message is read, used by every layer in turn. Head h owns rows h x capacity on, in
 * the order of the text: first the rows kept from earlier messages, then the message's. K is rotated. If a target
 * counts positions by slot, there is a second, unrotated copy of K.
 */
export class Scratch {
  readonly capacity: number;
  /** Rows of all heads. */
  readonly rows: number;
  readonly keys: Slice;
  readonly values: Slice;
  /** Keys as slot positions store them, unrotated. */
  readonly slotKeys: Slice | undefined;
  /** Cells of each target. */
  readonly cells: readonly Slice[];
  readonly tables: Tables;
  readonly #buffers: Buffers;

  constructor(
    backend: Backend,
    shape: CacheShape,
    dtype: RowDType,
    capacity: number,
    targets: readonly ScratchTarget[],
  ) {
    this.#buffers = new Buffers(backend);
    this.capacity = capacity;
    this.rows = shape.kvHeads * capacity;
    const allocate = (bytesPerRow: number) => this.#buffers.allocate(this.rows * bytesPerRow, "scratch");
    const row = shape.headSize * elementBytes[dtype];
    this.tables = new Tables(backend, this.#buffers, 1, 1, shape.kvHeads, "scratch");
    this.keys = allocate(row);
    this.values = allocate(row);
    this.slotKeys = targets.some(({ slot }) => slot) ? allocate(row) : undefined;
    this.cells = targets.map(({ planes }) => allocate(4 * planes));
    this.tables.write(
      this.tables.offset(0),
      Array.from({ length: shape.kvHeads }, (_, head) => head * capacity),
    );
  }

  /** A plane of a target's cells, [rows]. */
  plane(target: number, index: number): Slice {
    const { buffer } = this.cells[target]!;
    return { buffer, offset: 4 * index * this.rows };
  }

  get bytes(): number {
    return this.#buffers.bytes;
  }

  free(): void {
    this.#buffers.free();
  }
}
