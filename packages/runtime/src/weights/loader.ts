import type { Backend } from "@ziggurat/tensor";
import { type RowRange, type StoredTensor, storedBytes } from "./source.js";

/** Stored bytes that are read at a time: they and what they become stay in a processor's cache. */
const chunkBytes = 1 << 20;
/** Chunks under way: one is read while the other is converted. */
const lanes = 2;
/** Written bytes after which a backend is waited for: it may hold them in host memory until then. */
const syncBytes = 1 << 24;

/** What a piece of work may use until it has ended. */
export interface Lane {
  readonly backend: Backend;
  /** For what is read. */
  readonly stored: Uint8Array<ArrayBuffer>;
  /** For what that becomes. */
  readonly converted: Uint8Array<ArrayBuffer>;
}

/** Reads, converts and writes a chunk; resolves to the bytes written. */
type Work = (lane: Lane) => Promise<number>;

/**
 * Brings weights to a backend in chunks of about a megabyte, in order, two at a time. Host memory holds these chunks,
 * whatever the size of a tensor. What is added begins with `run`.
 */
export class Loader {
  readonly #backend: Backend;
  readonly #onBytes: (bytes: number) => void;
  #works: Work[] = [];
  #unwaited = 0;

  /** `onBytes` is told how many bytes have been written, after each chunk. */
  constructor(backend: Backend, onBytes: (bytes: number) => void) {
    this.#backend = backend;
    this.#onBytes = onBytes;
  }

  /** The ranges in which the `rows` rows of a tensor are read. */
  chunks({ dtype, shape, group = 1 }: StoredTensor, rows: number): RowRange[] {
    const width = shape.slice(1).reduce((product, axis) => product * axis, 1);
    const fit = Math.floor(chunkBytes / Math.max(1, storedBytes(dtype, width)));
    // An even number of rows: what follows them then begins at a multiple of four bytes, in every plane.
    const unit = group % 2 === 0 ? group : 2 * group;
    const step = Math.max(1, Math.floor(fit / unit)) * unit;
    return Array.from({ length: Math.ceil(rows / step) }, (_, index) => ({
      from: index * step,
      to: Math.min(rows, (index + 1) * step),
    }));
  }

  add(work: Work): void {
    this.#works.push(work);
  }

  /** Does what was added; rejects with the first error, once nothing is under way any more. */
  async run(): Promise<void> {
    const works = this.#works.values();
    let written = 0;
    let stopped = false;
    const lane = async () => {
      const room = {
        backend: this.#backend,
        stored: new Uint8Array(chunkBytes),
        converted: new Uint8Array(chunkBytes),
      };
      for (const work of works) {
        const bytes = await work(room);
        if (stopped) return;
        written += bytes;
        this.#unwaited += bytes;
        this.#onBytes(written);
        if (this.#unwaited < syncBytes) continue;
        this.#unwaited = 0;
        await this.#backend.synchronise();
      }
    };
    const ends = await Promise.allSettled(
      Array.from({ length: lanes }, () =>
        lane().catch((error: unknown) => {
          stopped = true;
          throw error;
        }),
      ),
    );
    this.#works = [];
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    await this.#backend.synchronise();
  }
}
