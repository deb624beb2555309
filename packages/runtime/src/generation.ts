import { RequestError } from "./error.js";

/**
 * An answer while it is written. Iterate it for its pieces, or await `result`, or both in that order. Leaving the loop
 * early ends the work and frees its memory; `result` rejects then.
 */
export class Generation<Piece, Result> implements AsyncIterable<Piece> {
  readonly #pieces: AsyncGenerator<Piece, Result>;
  readonly #result: Promise<Result>;
  #resolve!: (result: Result) => void;
  #reject!: (reason: unknown) => void;
  /** Whether the iterator was given out. */
  #iterated = false;
  /** Whether the work has begun, by the iterator or by `result`. */
  #driver: "none" | "iterator" | "result" = "none";

  constructor(pieces: AsyncGenerator<Piece, Result>) {
    this.#pieces = pieces;
    this.#result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A caller that iterates sees the error there.
    this.#result.catch(() => {});
  }

  /** The result, once the whole answer is written. Starts the work if nothing iterates it yet. */
  get result(): Promise<Result> {
    if (this.#driver === "none") {
      this.#driver = "result";
      void this.#drain();
    }
    return this.#result;
  }

  async #drain(): Promise<void> {
    try {
      while (!(await this.#next()).done);
    } catch {
      // `result` rejects with it.
    }
  }

  async #next(): Promise<IteratorResult<Piece, void>> {
    try {
      const next = await this.#pieces.next();
      if (!next.done) return { value: next.value, done: false };
      this.#resolve(next.value);
      return { value: undefined, done: true };
    } catch (error) {
      this.#reject(error);
      throw error;
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Piece, void> {
    const taken = () => new RequestError("this generation is being iterated already; it can be written only once");
    if (this.#iterated || this.#driver === "result") throw taken();
    this.#iterated = true;
    return {
      next: async () => {
        if (this.#driver === "result") throw taken();
        this.#driver = "iterator";
        return this.#next();
      },
      return: async () => {
        if (this.#driver === "result") throw taken();
        this.#driver = "iterator";
        this.#reject(new DOMException("the generation was left before it ended", "AbortError"));
        await this.#pieces.return(undefined as never);
        return { value: undefined, done: true };
      },
    };
  }
}
