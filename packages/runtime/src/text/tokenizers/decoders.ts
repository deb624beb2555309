import { show, TokenizerError } from "../../error.js";
import {
  checkGrowth,
  choiceField,
  drain,
  flagField,
  grown,
  listField,
  markField,
  type Part,
  partOf,
  patternField,
  textField,
  wholeField,
} from "./field.js";
import { byteOfCharacter } from "./unicode.js";

// Decoders of tokenizer.json, as the reference library (huggingface/tokenizers, src/decoders) has them.

/**
 * Tokens as the vocabulary spells them to texts, which are then joined. Throws a `TokenizerError` where it would make
 * more than `most` characters of them; default: as `grown` has it.
 */
export type Decoder = (tokens: readonly string[], most?: number) => string[];

const lengthOf = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length, 0);

const encoder = new TextEncoder();
const toText = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

const byteLevel: Decoder = (tokens) => {
  const bytes: number[] = [];
  for (const token of tokens) {
    const spelt = Array.from(token, (character) => byteOfCharacter.get(character));
    for (const byte of spelt.includes(undefined) ? encoder.encode(token) : (spelt as number[])) bytes.push(byte);
  }
  return [toText(Uint8Array.from(bytes))];
};

const byteFallback: Decoder = (tokens) => {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    const text = toText(Uint8Array.from(bytes));
    // Bytes that are no UTF-8 are as many replacement characters.
    const isValid = !text.includes("\ufffd") || sameBytes(encoder.encode(text), bytes);
    for (const part of isValid ? [text] : bytes.map(() => "\ufffd")) out.push(part);
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
};

const sameBytes = (a: Uint8Array, b: readonly number[]): boolean =>
  a.length === b.length && b.every((byte, i) => a[i] === byte);

function wordPiece(part: Part): Decoder {
  const prefix = textField(part, "prefix", "##");
  const cleans = flagField(part, "cleanup", true);
  return (tokens) =>
    tokens.map((token, i) => {
      const joined = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleans ? cleanUp(joined) : joined;
    });
}

const cleanUp = (text: string): string =>
  text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" do not", " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");

function metaspace(part: Part): Decoder {
  const mark = markField(part, "replacement");
  const scheme =
    part.json.prepend_scheme === undefined && part.json.add_prefix_space === false
      ? "never"
      : choiceField(part, "prepend_scheme", ["always", "first", "never"]);
  // Of the first token, every mark is left out.
  return (tokens) => tokens.map((token, i) => token.replaceAll(mark, i === 0 && scheme !== "never" ? "" : " "));
}

function strip(part: Part): Decoder {
  const content = textField(part, "content", " ");
  const start = wholeField(part, "start", 0, 0);
  const stop = wholeField(part, "stop", 0, 0);
  return (tokens) =>
    tokens.map((token) => {
      const characters = [...token];
      let from = 0;
      while (from < Math.min(start, characters.length) && characters[from] === content) from++;
      let to = characters.length;
      while (characters.length - to < stop && to > 0 && characters[to - 1] === content) to--;
      return characters.slice(from, Math.max(from, to)).join("");
    });
}

function replace(part: Part): Decoder {
  const find = patternField(part);
  const content = textField(part, "content");
  return (tokens, most = grown(lengthOf(tokens))) => {
    let length = 0;
    return tokens.map((token) => {
      const found = drain(find(token));
      let out = "";
      let end = 0;
      for (let i = 0; i < found.length; i += 2) {
        out += token.slice(end, found[i]) + content;
        end = found[i + 1]!;
        checkGrowth(length + out.length, most);
      }
      out += token.slice(end);
      length += out.length;
      return out;
    });
  };
}

function ctc(part: Part): Decoder {
  const pad = textField(part, "pad_token", "<pad>");
  const delimiter = textField(part, "word_delimiter_token", "|");
  const cleans = flagField(part, "cleanup", true);
  return (tokens) =>
    tokens
      .filter((token, i) => token !== tokens[i - 1])
      .flatMap((token) => {
        const plain = token.replaceAll(pad, "");
        const text = cleans ? cleanUp(plain).replaceAll(delimiter, " ") : plain;
        return text === "" ? [] : [text];
      });
}

const kinds: Readonly<Record<string, (part: Part, depth: number) => Decoder>> = {
  Sequence(part, depth) {
    const parts = listField(part, "decoders", (json, where) => readDecoder(json, where, depth + 1)!);
    return (tokens, most = grown(lengthOf(tokens))) =>
      parts.reduce(
        (texts, decode) => {
          const decoded = decode(texts, most);
          checkGrowth(lengthOf(decoded), most);
          return decoded;
        },
        [...tokens],
      );
  },
  ByteLevel: () => byteLevel,
  ByteFallback: () => byteFallback,
  WordPiece: wordPiece,
  BPEDecoder(part) {
    const suffix = textField(part, "suffix", "</w>");
    return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " "));
  },
  Metaspace: metaspace,
  Fuse: () => (tokens) => [tokens.join("")],
  Strip: strip,
  Replace: replace,
  CTC: ctc,
};

/**
 * Reads the `decoder` of tokenizer.json; null is undefined: tokens are then joined with spaces. Throws a
 * `TokenizerError` for one that is not supported.
 */
export function readDecoder(json: unknown, where: string, depth = 0): Decoder | undefined {
  if (json === null || json === undefined) return undefined;
  const part = partOf(json, where, depth);
  const kind = part.json.type as string;
  if (!Object.hasOwn(kinds, kind))
    throw new TokenizerError(`${where} has the type ${show(kind)}; supported are ${Object.keys(kinds).join(", ")}`);
  return kinds[kind]!(part, depth);
}
