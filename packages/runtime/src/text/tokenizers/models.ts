import { show, TokenizerError } from "../../error.js";
import { isRecord } from "../../files/files.js";
import { readBpe } from "./bpe.js";
import type { ModelSource, TokenModel } from "./token-model.js";
import { readUnigram } from "./unigram.js";
import { readWordLevel, readWordPiece } from "./words.js";

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
