import type { Backend, WeightDType } from "@ziggurat/tensor";
import { EventLoop } from "../event-loop.js";
import { computes } from "./convert.js";
import { type RowRange, type StoredTensor, storedBytes } from "./source.js";

/** Bytes that are read at a time, so that they and their conversion stay in a processor's cache. */
const chunkBytes = 1 << 20;
/** Numbers that are read at a time if the conversion computes with them: some milliseconds of work. */
const chunkNumbers = 1 << 17;
/** Chunks under way: one is read while the other is converted. */
const lanes = 2;
/** Written bytes after which a backend is waited for: it may hold them in host memory until then. */
const syncBytes = 1 << 24;

/** Memory that a piece of work may use until it has ended. */
export interface Lane {
  readonly backend: Backend;
  /** For the bytes that are read. */
  readonly stored: Uint8Array<ArrayBuffer>;
  /** For their conversion. */
  readonly converted: Uint8Array<ArrayBuffer>;
}

/** Reads, converts and writes a chunk; resolves to the bytes written. */
type Work = (lane: Lane) => Promise<number>;

/**
 * Brings weights to a backend in chunks of about a megabyte, in order, two at a time. Host memory holds these chunks
 * alone, whatever the size of a tensor, and the event loop gets its turns between them. Work that is added begins with
 * `run`.
 */
export class Loader {
  readonly #backend: Backend;
  readonly #onBytes: (bytes: number) => void;
  #works: Work[] = [];
  #unwaited = 0;

  /** `onBytes` is called after each chunk with the number of bytes written so far. What it throws ends the loading. */
  constructor(backend: Backend, onBytes: (bytes: number) => void) {
    this.#backend = backend;
    this.#onBytes = onBytes;
  }

  /** The ranges in which the `rows` rows of a tensor are read and converted to `to`. */
  chunks({ dtype, shape, group = 1 }: StoredTensor, rows: number, to: WeightDType): RowRange[] {
    const width = shape.slice(1).reduce((product, axis) => product * axis, 1);
    const fit = Math.floor(
      computes(dtype, to) ? chunkNumbers / Math.max(1, width) : chunkBytes / Math.max(1, storedBytes(dtype, width)),
    );
    // An even number of rows, so that the next begin at a multiple of four bytes in every plane.
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

  /** Does the work that was added. Rejects with the first error, once no other work is under way. */
  async run(): Promise<void> {
    const works = this.#works.values();
    const loop = new EventLoop();
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
        await loop.breathe();
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
