import type { Kernel, MemoryReport } from "./backend.js";
import type { Buffer, Slice } from "./buffer.js";
import type { Operands, OpName } from "./catalogue.js";
import { checkOperands, OpError } from "./check.js";
import { BufferError } from "./error.js";
import { Ledger } from "./memory.js";

type Labels = Readonly<Record<string, number>>;
type Given = Readonly<Record<string, Slice | undefined>>;

/**
 * The buffers of one backend: what the backend holds for each, their bytes counted by label, and the checks that every
 * backend makes of the buffers that it is called with.
 */
export class BufferTable<Held> {
  readonly #held = new Map<Buffer, Held>();
  readonly #labels = new Map<Buffer, Labels>();
  readonly #ledger = new Ledger();
  #frees = 0;
  #disposed = false;

  /** Bytes counted at present. */
  get live(): number {
    return this.#ledger.live;
  }

  /** Increases with every buffer that is removed: while it stays the same, no buffer was freed. */
  get frees(): number {
    return this.#frees;
  }

  /** Registers a buffer and counts it under `labels`; a buffer that got no memory counts under none, `{}`. */
  add(bytes: number, labels: Labels, held: Held): Buffer {
    // Frozen, so that its size stays what was allocated.
    const buffer: Buffer = Object.freeze({ bytes });
    this.#held.set(buffer, held);
    this.#labels.set(buffer, labels);
    this.#ledger.count(labels, 1);
    return buffer;
  }

  /** Takes back what {@link add} counted: for a device that says later that it has no memory for the buffer. */
  uncount(buffer: Buffer): void {
    const labels = this.#labels.get(buffer);
    if (!labels) return;
    this.#ledger.count(labels, -1);
    this.#labels.set(buffer, {});
  }

  /** Forgets a buffer and returns what was held for it. Throws a {@link BufferError} if it is unknown. */
  remove(what: string, buffer: Buffer): Held {
    const held = this.find(what, buffer);
    this.#ledger.count(this.#labels.get(buffer)!, -1);
    this.#labels.delete(buffer);
    this.#held.delete(buffer);
    this.#frees++;
    return held;
  }

  has(buffer: Buffer): boolean {
    return this.#held.has(buffer);
  }

  get(buffer: Buffer): Held | undefined {
    return this.#held.get(buffer);
  }

  /** What is held for a buffer. Throws a {@link BufferError} if it was freed, or is of another backend. */
  find(what: string, buffer: Buffer): Held {
    const held = this.#held.get(buffer);
    if (held !== undefined) return held;
    throw new BufferError(`${what}: this buffer of ${buffer?.bytes} bytes was freed, or is of another backend`);
  }

  /** What is held for the buffer of a slice. Throws a {@link BufferError} if it has no such bytes. */
  range(what: string, slice: Slice, bytes: number): Held {
    // Also from JavaScript, where a slice may be anything.
    const { buffer, offset } = slice ?? {};
    if (offset % 4 === 0 && offset >= 0 && Number.isSafeInteger(bytes) && bytes >= 0) {
      if (offset + bytes <= buffer?.bytes) return this.find(what, buffer);
    }
    throw new BufferError(
      `${what}: ${bytes} bytes from byte ${offset} (a multiple of 4) are not in a buffer of ${buffer?.bytes}`,
    );
  }

  /**
   * What is held for operand `name` of a dispatch, which needs `bytes`. Throws an {@link OpError} if it is missing, too
   * small, freed or of another backend.
   */
  operand(kernel: Kernel, operands: object, name: string, bytes: number): Held {
    const slice = (operands as Given)[name];
    const held = slice && this.#held.get(slice.buffer);
    if (held !== undefined && slice!.offset % 4 === 0 && slice!.offset >= 0) {
      if (slice!.offset + bytes <= slice!.buffer.bytes) return held;
    }
    checkOperands(kernel, operands as unknown as Operands<OpName>);
    throw this.#freed(kernel.op, name);
  }

  /** Throws an {@link OpError} if a buffer of `operands` was freed, or is of another backend. */
  checkHeld(op: OpName, operands: object): void {
    for (const [name, slice] of Object.entries(operands as Given)) {
      if (slice && !this.#held.has(slice.buffer)) throw this.#freed(op, name);
    }
  }

  /** Throws a {@link BufferError} after {@link dispose}. */
  checkOpen(what: string): void {
    if (this.#disposed) throw new BufferError(`${what}: this backend was disposed of`);
  }

  /** `reserved`: bytes that the backend holds from the system. */
  report(reserved: number): MemoryReport {
    return this.#ledger.report(reserved);
  }

  resetPeak(): void {
    this.#ledger.resetPeak();
  }

  /** Forgets every buffer; {@link checkOpen} throws from now on. */
  dispose(): void {
    for (const labels of this.#labels.values()) this.#ledger.count(labels, -1);
    this.#labels.clear();
    this.#held.clear();
    this.#disposed = true;
  }

  #freed(op: OpName, name: string): OpError {
    return new OpError(`${op}: the buffer of operand "${name}" was freed, or is of another backend`);
  }
}
