import type { TextStream } from "../text/detokenize.js";
import type { Tokenizer } from "../text/tokenizer.js";

/** Why an answer ended: at an end token or a stop string, at `maxTokens`, or at the end of the model's context. */
export type FinishReason = "stop" | "length" | "context";

export interface WriterOptions {
  readonly tokenizer: Tokenizer | undefined;
  readonly stopTokens: readonly number[];
  readonly stopStrings: readonly string[];
  /** The most tokens. */
  readonly most: number;
  /** Why no more than `most`. */
  readonly mostReason: "length" | "context";
}

/**
 * Turns one sequence's ids into text and finds its end. Text that may be the beginning of a stop string is held back
 * until that is decided.
 */
export class Writer {
  readonly ids: number[] = [];
  text = "";
  finishReason: FinishReason | undefined;
  readonly #options: WriterOptions;
  readonly #stream: TextStream | undefined;
  #held = "";

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#stream = options.tokenizer?.stream({ skipSpecial: true });
  }

  /** Whether it may end at a text, which only the host sees. */
  get stopsOnText(): boolean {
    return this.#options.stopStrings.length > 0;
  }

  /** Tokens that may still be written. */
  get left(): number {
    return this.finishReason ? 0 : this.#options.most - this.ids.length;
  }

  /** Takes the next id; returns the text that has become certain. */
  push(id: number): string {
    const { stopTokens, most, mostReason } = this.#options;
    if (stopTokens.includes(id)) return this.#end("stop");
    this.ids.push(id);
    this.#held += this.#stream?.push(id) ?? "";
    const cut = this.#firstStop();
    if (cut >= 0) {
      this.finishReason = "stop";
      return this.#emit(this.#held.slice(0, cut));
    }
    if (this.ids.length >= most) return this.#end(mostReason);
    return this.#emit(this.#held.slice(0, this.#held.length - this.#undecided()));
  }

  /** Ends the text: returns what was held back, up to a stop string that only shows now. */
  #end(reason: FinishReason): string {
    this.#held += this.#stream?.end() ?? "";
    const cut = this.#firstStop();
    this.finishReason = cut >= 0 ? "stop" : reason;
    return this.#emit(cut >= 0 ? this.#held.slice(0, cut) : this.#held);
  }

  #emit(text: string): string {
    this.#held = this.#held.slice(text.length);
    this.text += text;
    return text;
  }

  #firstStop(): number {
    const places = this.#options.stopStrings.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    return places.length > 0 ? Math.min(...places) : -1;
  }

  /** Length of the longest suffix of the held text that begins a stop string. */
  #undecided(): number {
    let most = 0;
    for (const stop of this.#options.stopStrings) {
      for (let length = Math.min(stop.length - 1, this.#held.length); length > most; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) most = length;
      }
    }
    return most;
  }
}
