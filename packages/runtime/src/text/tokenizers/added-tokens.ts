import { show, TokenizerError } from "../../error.js";
import { isRecord } from "../../files/files.js";
import { drain } from "./field.js";
import type { Normalizer } from "./normalizer.js";
import { TokenTrie } from "./token-trie.js";
import { isWhiteSpace, isWord } from "./unicode.js";
import { isId } from "./vocabulary.js";

/** A token beside the model's own, which is found in a text as it stands. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** No text becomes it; a chat template writes it. */
  readonly special: boolean;
  /** It is no part of a word. */
  readonly singleWord: boolean;
  /** It takes the white space before it with it. */
  readonly lstrip: boolean;
  /** It takes the white space after it with it. */
  readonly rstrip: boolean;
  /** It is looked for after the text was normalised. */
  readonly normalized: boolean;
}

/** Reads `added_tokens` of tokenizer.json. Throws a `TokenizerError`. */
export function readAddedTokens(list: unknown, where: string): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw new TokenizerError(`${where}: added_tokens is ${show(list)}; it must be a list`);
  return list.map((entry: unknown, i) => readAddedToken(entry, `${where}: added_tokens[${i}]`));
}

/** Characters of a special token; known ones have fewer than 64. */
const longestSpecial = 256;

/** Reads one token; `id` if it stands beside the entry. Throws a `TokenizerError`. */
export function readAddedToken(entry: unknown, where: string, id?: number): AddedToken {
  const given: Record<string, unknown> | undefined = isRecord(entry) ? { id, ...entry } : undefined;
  if (!given || !isId(given.id) || typeof given.content !== "string" || given.content === "")
    throw new TokenizerError(`${where} is ${show(entry)}; it must be an object with an id and a content`);
  const special = given.special === true;
  // Messages are quoted against every beginning and end of a special token.
  if (special && given.content.length > longestSpecial)
    throw new TokenizerError(
      `${where} has ${given.content.length} characters; a special token may have ${longestSpecial}`,
    );
  return {
    id: given.id,
    content: given.content,
    special,
    singleWord: given.single_word === true,
    lstrip: given.lstrip === true,
    rstrip: given.rstrip === true,
    normalized: (given.normalized ?? !special) === true,
  };
}

/** A stretch of text, or a token that was found in it. */
export type Segment = string | number;

export interface SegmentOptions {
  /** Whether special tokens are found too. */
  readonly special: boolean;
  /** A character that is no part of the text: tokens do not go over it. "" for none. */
  readonly ignore: string;
}

/** Finds added tokens in texts, as the reference library (src/tokenizer/added_vocabulary.rs) does. */
export class AddedTokens {
  readonly #normalize: Normalizer;
  readonly #plain: Finder;
  readonly #normalized: Finder;

  constructor(tokens: readonly AddedToken[], normalize: Normalizer) {
    this.#normalize = normalize;
    this.#plain = new Finder(
      tokens.filter(({ normalized }) => !normalized).map((token) => ({ token, text: token.content })),
    );
    this.#normalized = new Finder(
      tokens
        .filter(({ normalized }) => normalized)
        .map((token) => ({ token, text: drain(normalize(token.content)) }))
        .filter(({ text }) => text !== ""),
    );
  }

  /** Cuts a text into tokens and normalised text. */
  *segments(text: string, options: SegmentOptions): Generator<void, Segment[]> {
    const { ignore } = options;
    // Marks keep their place only where a special token is yet to be looked for.
    const keepsMarks = ignore !== "" && options.special && this.#normalized.hasSpecial;
    const unmarked = (part: string) => (ignore === "" ? part : part.replaceAll(ignore, ""));
    const found: Segment[] = [];
    for (const segment of yield* this.#plain.find(text, options)) {
      if (typeof segment === "number") {
        found.push(segment);
        continue;
      }
      const normal = yield* this.#normalize(keepsMarks ? segment : unmarked(segment));
      for (const part of yield* this.#normalized.find(normal, options))
        if (typeof part === "number") found.push(part);
        else if (part !== "") found.push(keepsMarks ? unmarked(part) : part);
    }
    return found;
  }
}

class Finder {
  readonly #trie: TokenTrie;
  readonly #tokens: readonly AddedToken[];
  readonly hasSpecial: boolean;

  constructor(entries: readonly { readonly token: AddedToken; readonly text: string }[]) {
    this.#trie = new TokenTrie(entries.map(({ text }) => text));
    this.#tokens = entries.map(({ token }) => token);
    this.hasSpecial = this.#tokens.some(({ special }) => special);
  }

  *find(text: string, { special, ignore }: SegmentOptions): Generator<void, Segment[]> {
    if (this.#tokens.length === 0) return [text];
    const found: Segment[] = [];
    let end = 0;
    for (const { at, length, entry } of yield* this.#trie.find(text)) {
      const token = this.#tokens[entry]!;
      let [from, to] = [at, at + length];
      if (token.special) {
        // A token of one character has no inside to put a mark into.
        const isMarked = length === 1 && ignore !== "" && text[from - 1] === ignore && text[to] === ignore;
        if (!special || isMarked) continue;
      }
      if (token.singleWord && (isWordAt(text, from, -1) || isWordAt(text, to, 1))) continue;
      if (token.lstrip) while (from > end && isWhiteSpace(text.charCodeAt(from - 1))) from--;
      if (token.rstrip) while (to < text.length && isWhiteSpace(text.charCodeAt(to))) to++;
      if (from > end) found.push(text.slice(end, from));
      found.push(token.id);
      end = to;
    }
    if (end < text.length) found.push(text.slice(end));
    return found;
  }
}

function isWordAt(text: string, at: number, side: -1 | 1): boolean {
  if (side === 1) return at < text.length && isWord(text.codePointAt(at)!);
  if (at === 0) return false;
  const isLow = at > 1 && (text.codePointAt(at - 2) ?? 0) > 0xffff;
  return isWord(text.codePointAt(isLow ? at - 2 : at - 1)!);
}
