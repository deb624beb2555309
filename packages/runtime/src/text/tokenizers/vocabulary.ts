import { show, TokenizerError } from "../../error.js";
import { isRecord } from "../../files/files.js";

/** The largest token id that is read: known vocabularies have fewer than 2^19. */
const largestId = 2 ** 24;

export const isId = (id: unknown): id is number =>
  Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) <= largestId;

/** A model's tokens and their ids, both ways. */
export interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  /** Holes are undefined. */
  readonly tokens: readonly (string | undefined)[];
}

/** Reads a map or object of ids. Throws a `TokenizerError`. */
export function readVocabulary(vocab: unknown, where: string): Vocabulary {
  if (!(vocab instanceof Map) && !isRecord(vocab))
    throw new TokenizerError(`${where}: model.vocab is ${show(vocab)}; it must be an object of ids`);
  const tokens: (string | undefined)[] = [];
  const add = (token: string, id: unknown): void => {
    if (!isId(id))
      throw new TokenizerError(
        `${where}: model.vocab has the id ${show(id)} for ${show(token)}; it must be a whole number from 0 to ${largestId}`,
      );
    if (tokens[id] !== undefined)
      throw new TokenizerError(
        `${where}: model.vocab has the id ${id} twice, for ${show(tokens[id])} and ${show(token)}`,
      );
    tokens[id] = token;
  };
  let ids: ReadonlyMap<string, number>;
  if (vocab instanceof Map) {
    vocab.forEach((id, token: string) => void add(token, id));
    ids = vocab;
  } else {
    const made = new Map<string, number>();
    // Not by entries: a pair for each of some hundred thousand tokens is memory.
    for (const token of Object.keys(vocab)) {
      add(token, vocab[token]);
      made.set(token, vocab[token] as number);
    }
    ids = made;
  }
  if (ids.size === 0) throw new TokenizerError(`${where}: model.vocab is empty`);
  return { ids, tokens };
}

/** The tokens `<0x00>` to `<0xFF>`, by byte; undefined for those that the vocabulary lacks. */
export const byteTokens = (ids: ReadonlyMap<string, number>): readonly (number | undefined)[] =>
  Array.from({ length: 256 }, (_, byte) => ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`));

const encoder = new TextEncoder();

/** Byte tokens of a text; undefined if one is missing, as the reference library then takes none of them. */
export function inBytes(text: string, bytes: readonly (number | undefined)[]): number[] | undefined {
  const found = Array.from(encoder.encode(text), (byte) => bytes[byte]);
  return found.includes(undefined) ? undefined : (found as number[]);
}
