import { show, TokenizerError } from "../../error.js";
import { isRecord } from "../../files/files.js";
import { readBpe } from "./bpe.js";
import { readUnigram } from "./unigram.js";
import type { Vocabulary } from "./vocabulary.js";
import { readWordLevel, readWordPiece } from "./words.js";

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

const kinds: Readonly<Record<string, (source: ModelSource) => TokenModel>> = {
  BPE: readBpe,
  Unigram: readUnigram,
  WordPiece: readWordPiece,
  WordLevel: readWordLevel,
};

/** Reads the `model` of tokenizer.json. Throws a `TokenizerError` for one that is not supported. */
export function readModel(source: ModelSource): TokenModel {
  const { json, where } = source;
  const type = json.type ?? typeOf(json);
  if (typeof type !== "string" || !Object.hasOwn(kinds, type))
    throw new TokenizerError(`${where}: model.type is ${show(type)}; supported are ${Object.keys(kinds).join(", ")}`);
  return kinds[type]!(source);
}

/** The kind of a model in an old file, which does not say. */
function typeOf(json: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(json.vocab)) return "Unigram";
  if (json.merges !== undefined) return "BPE";
  return isRecord(json.vocab) && json.max_input_chars_per_word !== undefined ? "WordPiece" : "WordLevel";
}
