import type { Program } from "./backend.js";
import type { Buffer } from "./buffer.js";
import type { BufferTable } from "./buffer-table.js";
import { OpError } from "./check.js";

interface Entry<Recorded> {
  readonly recorded: Recorded;
  readonly buffers: ReadonlySet<Buffer>;
  /** {@link BufferTable.frees} when all of `buffers` were last known to be held. */
  checked: number;
}

/**
 * The recorded programs of one backend, the recording in progress, and the checks that every backend makes of calls
 * with programs. `Recording` collects dispatches; `Recorded` is what a backend keeps of them.
 */
export class ProgramTable<Recorded, Recording> {
  readonly #buffers: BufferTable<unknown>;
  readonly #programs = new Map<Program, Entry<Recorded>>();
  #recording: Recording | undefined;

  constructor(buffers: BufferTable<unknown>) {
    this.#buffers = buffers;
  }

  /** Where dispatches go while a program is recorded. */
  get recording(): Recording | undefined {
    return this.#recording;
  }

  get size(): number {
    return this.#programs.size;
  }

  /**
   * Throws if calls other than `dispatch` are not allowed now: a `BufferError` after the backend was disposed of, an
   * {@link OpError} while a program is recorded.
   */
  checkIdle(what: string): void {
    this.#buffers.checkOpen(what);
    if (this.#recording) throw new OpError(`${what}: while a program is recorded there may only be dispatches`);
  }

  /** Runs `body`; until it returns or throws, {@link recording} is `recording`. */
  record(recording: Recording, body: () => void): void {
    this.#recording = recording;
    try {
      body();
    } finally {
      this.#recording = undefined;
    }
  }

  /** Registers a program of `dispatches` that use `buffers`. */
  add(dispatches: number, buffers: ReadonlySet<Buffer>, recorded: Recorded): Program {
    const program: Program = { dispatches };
    this.#programs.set(program, { recorded, buffers, checked: this.#buffers.frees });
    return program;
  }

  /** The program to replay. Throws an {@link OpError} if it is unknown, or a buffer that it uses was freed. */
  replay(program: Program): Recorded {
    const entry = this.#find("replay", program);
    const { frees } = this.#buffers;
    if (entry.checked !== frees) {
      for (const buffer of entry.buffers) {
        if (!this.#buffers.has(buffer)) {
          throw new OpError(`replay: a buffer of ${buffer.bytes} bytes that this program uses was freed`);
        }
      }
      entry.checked = frees;
    }
    return entry.recorded;
  }

  /** Forgets a program and returns what was recorded. Throws an {@link OpError} if it is unknown. */
  release(program: Program): Recorded {
    const { recorded } = this.#find("release", program);
    this.#programs.delete(program);
    return recorded;
  }

  clear(): void {
    this.#programs.clear();
  }

  #find(what: string, program: Program): Entry<Recorded> {
    const found = this.#programs.get(program);
    if (!found) throw new OpError(`${what}: this program was released, or is of another backend`);
    return found;
  }
}
