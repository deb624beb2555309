import { OutOfMemoryError } from "@ziggurat/tensor";

/** A stretch of the workers' memory. */
export interface Block {
  readonly address: number;
  /** With padding. */
  readonly bytes: number;
  /** The last batch of commands that touches it. */
  used: number;
}

export interface Found {
  readonly block: Block;
  /** Never used before, so zero. */
  readonly fresh: boolean;
}

interface Range {
  address: number;
  bytes: number;
  used: number;
}

const alignment = 64;

/** Grows the memory to `bytes`, or throws. */
export type Grow = (bytes: number) => void;

/**
 * Allocates addresses in the workers' memory, on the host. Freed memory can be reused at once, because commands run in
 * order. Only data that the host writes directly, beside the commands, needs memory that no pending command uses.
 */
export class Heap {
  readonly #limit: number;
  readonly #grow: Grow;
  /** Free ranges below `#top`, by address. Everything beyond `#top` is free and zero. */
  readonly #free: Range[] = [];
  #top: number;
  #size: number;

  /** Allocates within `start`..`limit`; the memory has `size` bytes so far. */
  constructor(start: number, size: number, limit: number, grow: Grow) {
    this.#top = start;
    this.#size = size;
    this.#limit = limit;
    this.#grow = grow;
  }

  /** Bytes held from the system. */
  get size(): number {
    return this.#size;
  }

  /**
   * Best fit. With `completed`, only memory that no batch after that number touches. Throws an {@link
   * OutOfMemoryError}.
   */
  allocate(bytes: number, completed = Number.POSITIVE_INFINITY): Found {
    const need = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    let best = -1;
    for (const [i, range] of this.#free.entries()) {
      const fits = range.bytes >= need && range.used <= completed;
      if (fits && (best < 0 || range.bytes < this.#free[best]!.bytes)) best = i;
    }
    if (best < 0) return this.#extend(need);
    const range = this.#free[best]!;
    const block = { address: range.address, bytes: need, used: range.used };
    range.address += need;
    range.bytes -= need;
    if (range.bytes === 0) this.#free.splice(best, 1);
    return { block, fresh: false };
  }

  #extend(need: number): Found {
    const end = this.#top + need + slack;
    if (end > this.#limit) throw new OutOfMemoryError(`${need} bytes, with ${this.#top} of ${this.#limit} taken`);
    if (end > this.#size) {
      // In steps, so that small buffers do not each ask the system.
      const size = Math.min(this.#limit, Math.ceil(end / step) * step);
      this.#grow(size);
      this.#size = size;
    }
    const block = { address: this.#top, bytes: need, used: 0 };
    this.#top += need;
    return { block, fresh: true };
  }

  free({ address, bytes, used }: Block): void {
    let at = this.#free.findIndex((range) => range.address > address);
    if (at < 0) at = this.#free.length;
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const joinsBefore = before !== undefined && before.address + before.bytes === address;
    const joinsAfter = after !== undefined && address + bytes === after.address;
    if (joinsBefore) {
      before.bytes += bytes;
      before.used = Math.max(before.used, used);
      if (joinsAfter) {
        before.bytes += after.bytes;
        before.used = Math.max(before.used, after.used);
        this.#free.splice(at, 1);
      }
    } else if (joinsAfter) {
      after.address = address;
      after.bytes += bytes;
      after.used = Math.max(after.used, used);
    } else {
      this.#free.splice(at, 0, { address, bytes, used });
    }
  }
}

const step = 1 << 20;
/** Bytes that kernels may read beyond an operand, to avoid a special case; never beyond the memory. */
const slack = 64;
