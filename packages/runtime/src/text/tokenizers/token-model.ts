import type { Vocabulary } from "./vocabulary.js";

/** A model of tokenizer.json: pieces of text to ids. */
export interface TokenModel extends Vocabulary {
  /** Adds the ids of a piece to `out`. Yields now and then within a long piece. */
  encode(piece: string, out: number[]): Generator<void, void> | undefined;
}

/** What a model is read from. */
export interface ModelSource {
  readonly json: Readonly<Record<string, unknown>>;
  /** The file, for errors. */
  readonly where: string;
  /** Whether a token is special: no text becomes one. */
  isSpecial(token: string): boolean;
}
