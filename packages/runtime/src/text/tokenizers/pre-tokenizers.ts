import { show, TokenizerError } from "../../error.js";
import {
  characters,
  checkGrowth,
  choiceField,
  exactly,
  type Finder,
  flagField,
  grown,
  listField,
  markField,
  type Part,
  partOf,
  patternField,
  regular,
  textField,
  wholeField,
} from "./field.js";
import { isNumeric, isPunctuation, isWhiteSpace, spellBytes } from "./unicode.js";

// Pre-tokenizers of tokenizer.json, as the reference library (huggingface/tokenizers, src/pre_tokenizers) has them.

/** A piece of a text. `isFirst`: it begins where the whole text does. */
export interface Piece {
  readonly text: string;
  readonly isFirst: boolean;
}

/**
 * Splits pieces further. Yields now and then. Throws a `TokenizerError` where it would make more than `most` characters
 * of them; default: as `grown` has it.
 */
export type PreTokenizer = (pieces: readonly Piece[], most?: number) => Generator<void, Piece[]>;

const lengthOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, { text }) => sum + text.length, 0);

const behaviors = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
type Behavior = (typeof behaviors)[number];

/** Pieces between two pauses. */
const stretch = 4096;

function forEach(split: (piece: Piece, out: Piece[]) => Generator<void, void> | void): PreTokenizer {
  return function* (pieces, most = grown(lengthOf(pieces))) {
    const out: Piece[] = [];
    let length = 0;
    let counted = 0;
    for (const [index, piece] of pieces.entries()) {
      const steps = split(piece, out);
      if (steps) yield* steps;
      for (; counted < out.length; counted++) length += out[counted]!.text.length;
      checkGrowth(length, most);
      if (index % stretch === stretch - 1) yield;
    }
    return out;
  };
}

/** Splits at the places that `find` gives, or, if `invert`, between them. */
const splitting = (find: Finder, behavior: Behavior, invert = false): PreTokenizer =>
  forEach(function* (piece, out) {
    const { text, isFirst } = piece;
    const found = yield* find(text);
    if (found.length === 0 && !invert) {
      if (text !== "") out.push(piece);
      return;
    }
    // Ends of stretches in turn, and whether each is a match.
    const ends: number[] = [];
    const isMatch: boolean[] = [];
    let end = 0;
    for (let i = 0; i < found.length; i += 2) {
      const [from, to] = [found[i]!, found[i + 1]!];
      if (from > end) {
        ends.push(from);
        isMatch.push(invert);
      }
      ends.push(to);
      isMatch.push(!invert);
      end = to;
    }
    if (end < text.length) {
      ends.push(text.length);
      isMatch.push(invert);
    }
    let start = 0;
    for (let i = 0; i < ends.length; i++) {
      const to = ends[i]!;
      if (isJoined(behavior, isMatch, i)) continue;
      if (to > start && !(behavior === "Removed" && isMatch[i]))
        out.push({ text: text.slice(start, to), isFirst: isFirst && start === 0 });
      start = to;
    }
  });

/** Whether the stretch `at` goes on into the next one. */
function isJoined(behavior: Behavior, isMatch: readonly boolean[], at: number): boolean {
  if (at + 1 >= isMatch.length) return false;
  if (behavior === "Contiguous") return isMatch[at] === isMatch[at + 1];
  if (behavior === "MergedWithPrevious") return isMatch[at + 1]! && !isMatch[at];
  return behavior === "MergedWithNext" && isMatch[at]! && !isMatch[at + 1];
}

const changing = (change: (piece: Piece) => string): PreTokenizer =>
  forEach((piece, out) => void out.push({ ...piece, text: change(piece) }));

export const inSequence = (parts: readonly PreTokenizer[]): PreTokenizer =>
  function* (pieces, most = grown(lengthOf(pieces))) {
    let out = [...pieces];
    for (const part of parts) out = yield* part(out, most);
    return out;
  };

/** Rust's `\\w`, which is not Oniguruma's. */
const word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

function byteLevel(part: Part): PreTokenizer {
  const parts: PreTokenizer[] = [];
  if (flagField(part, "add_prefix_space", true))
    parts.push(changing(({ text }) => (text.startsWith(" ") ? text : ` ${text}`)));
  if (flagField(part, "use_regex", true)) parts.push(splitting(regular(gpt2, part.where), "Isolated"));
  return inSequence([...parts, changing(({ text }) => spellBytes(text))]);
}

function metaspace(part: Part): PreTokenizer {
  const mark = markField(part, "replacement");
  const scheme =
    part.json.prepend_scheme === undefined && part.json.add_prefix_space === false
      ? "never"
      : choiceField(part, "prepend_scheme", ["always", "first", "never"]);
  const marked = changing(({ text, isFirst }) => {
    const replaced = text.replaceAll(" ", mark);
    const isPrepended = scheme === "always" || (scheme === "first" && isFirst);
    return isPrepended && !replaced.startsWith(mark) ? mark + replaced : replaced;
  });
  return flagField(part, "split", true) ? inSequence([marked, splitting(exactly(mark), "MergedWithNext")]) : marked;
}

const kinds: Readonly<Record<string, (part: Part, depth: number) => PreTokenizer>> = {
  Sequence: (part, depth) =>
    inSequence(listField(part, "pretokenizers", (json, where) => readPreTokenizer(json, where, depth + 1))),
  BertPreTokenizer: () =>
    inSequence([splitting(characters(isWhiteSpace), "Removed"), splitting(characters(isPunctuation), "Isolated")]),
  ByteLevel: byteLevel,
  CharDelimiterSplit: (part) => splitting(exactly(textField(part, "delimiter")), "Removed"),
  Metaspace: metaspace,
  Whitespace: ({ where }) => splitting(regular(`[${word}]+|[^${word}\\s]+`, where), "Removed", true),
  WhitespaceSplit: () => splitting(characters(isWhiteSpace), "Removed"),
  Punctuation: (part) => splitting(characters(isPunctuation), choiceField(part, "behavior", behaviors)),
  Digits: (part) =>
    splitting(characters(isNumeric), flagField(part, "individual_digits", false) ? "Isolated" : "Contiguous"),
  Split: (part) =>
    splitting(patternField(part), choiceField(part, "behavior", behaviors), flagField(part, "invert", false)),
  FixedLength(part) {
    const length = wholeField(part, "length", 1, 5);
    return forEach(({ text, isFirst }, out) => {
      const all = [...text];
      for (let at = 0; at < all.length; at += length)
        out.push({ text: all.slice(at, at + length).join(""), isFirst: isFirst && at === 0 });
    });
  },
};

/**
 * Reads the `pre_tokenizer` of tokenizer.json; null is none. Throws a `TokenizerError` for one that is not supported.
 */
export function readPreTokenizer(json: unknown, where: string, depth = 0): PreTokenizer {
  if (json === null || json === undefined) return inSequence([]);
  const part = partOf(json, where, depth);
  const kind = part.json.type as string;
  if (!Object.hasOwn(kinds, kind))
    throw new TokenizerError(`${where} has the type ${show(kind)}; supported are ${Object.keys(kinds).join(", ")}`);
  return kinds[kind]!(part, depth);
}
