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
  #started = false;

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
    if (!this.#started) {
      void (async () => {
        for await (const _ of this);
      })().catch(() => {});
    }
    return this.#result;
  }

  [Symbol.asyncIterator](): AsyncIterator<Piece, void> {
    if (this.#started) throw new RequestError("this generation is being iterated already; it can be written only once");
    this.#started = true;
    return {
      next: async () => {
        try {
          const next = await this.#pieces.next();
          if (!next.done) return { value: next.value, done: false };
          this.#resolve(next.value);
          return { value: undefined, done: true };
        } catch (error) {
          this.#reject(error);
          throw error;
        }
      },
      return: async () => {
        this.#reject(new DOMException("the generation was left before it ended", "AbortError"));
        await this.#pieces.return(undefined as never);
        return { value: undefined, done: true };
      },
    };
  }
}
