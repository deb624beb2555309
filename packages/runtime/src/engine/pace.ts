import type { Backend, Slice } from "@ziggurat/tensor";
import { settle } from "./settle.js";

/**
 * The longest stretch of work, in milliseconds, that is enqueued before the caller's thread is released. An abort takes
 * effect within about this time.
 */
const stretch = 100;

/**
 * Waits for the device at intervals, so that long work can be aborted and report its progress without a stall after
 * every piece.
 */
export class Pace {
  readonly #backend: Backend;
  readonly #signal: AbortSignal | undefined;
  #pieces = 0;
  #perStretch = 1;
  #since = performance.now();

  constructor(backend: Backend, signal: AbortSignal | undefined) {
    this.#backend = backend;
    this.#signal = signal;
    signal?.throwIfAborted();
  }

  /** Called after each enqueued piece of work, which writes `out`. Throws the signal's reason once it is aborted. */
  async piece(out: Slice): Promise<void> {
    this.#signal?.throwIfAborted();
    if (++this.#pieces < this.#perStretch) return;
    await settle(this.#backend, out);
    const spent = Math.max(performance.now() - this.#since, 0.1);
    this.#perStretch = Math.max(1, Math.floor((this.#pieces * stretch) / spent));
    this.#pieces = 0;
    this.#since = performance.now();
    this.#signal?.throwIfAborted();
  }
}
