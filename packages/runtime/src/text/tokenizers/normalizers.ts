import { show, TokenizerError } from "../../error.js";
import {
  checkGrowth,
  type Finder,
  flagField,
  grown,
  listField,
  type Part,
  partOf,
  patternField,
  textField,
} from "./field.js";
import type { Normalizer } from "./normalizer.js";
import { precompiled } from "./precompiled.js";
import { isControl, isWhiteSpace, spellBytes } from "./unicode.js";

// Normalizers of tokenizer.json, as the reference library (huggingface/tokenizers, src/normalizers) has them.

const simple = (change: (text: string) => string): Normalizer =>
  function* (text) {
    yield;
    return change(text);
  };

/** Changes each character; an empty text leaves it out. */
const each = (change: (code: number, character: string) => string): Normalizer =>
  function* (text, most = grown(text.length)) {
    let changed = "";
    let at = 0;
    for (const character of text) {
      changed += change(character.codePointAt(0)!, character);
      checkGrowth(changed.length, most);
      if (++at % 16384 === 0) yield;
    }
    return changed;
  };

const replaceAll = (find: Finder, content: string): Normalizer =>
  function* (text, most = grown(text.length)) {
    const found = yield* find(text);
    let changed = "";
    let end = 0;
    for (let i = 0; i < found.length; i += 2) {
      changed += text.slice(end, found[i]) + content;
      checkGrowth(changed.length, most);
      end = found[i + 1]!;
    }
    return changed + text.slice(end);
  };

export const inSequence = (normalizers: readonly Normalizer[]): Normalizer =>
  function* (text, most = grown(text.length)) {
    let changed = text;
    for (const normalizer of normalizers) {
      changed = yield* normalizer(changed, most);
      checkGrowth(changed.length, most);
    }
    return changed;
  };

const isChinese = (code: number): boolean =>
  (code >= 0x4e00 && code <= 0x9fff) ||
  (code >= 0x3400 && code <= 0x4dbf) ||
  (code >= 0x20000 && code <= 0x2a6df) ||
  (code >= 0x2a700 && code <= 0x2b73f) ||
  (code >= 0x2b740 && code <= 0x2b81f) ||
  (code >= 0x2b920 && code <= 0x2ceaf) ||
  (code >= 0xf900 && code <= 0xfaff) ||
  (code >= 0x2f800 && code <= 0x2fa1f);

function bert(part: Part): Normalizer {
  const lowercase = flagField(part, "lowercase", true);
  const steps: Normalizer[] = [];
  if (flagField(part, "clean_text", true))
    steps.push(
      each((code, character) => {
        if (code === 9 || code === 10 || code === 13) return " ";
        if (code === 0xfffd || isControl(code)) return "";
        return isWhiteSpace(code) ? " " : character;
      }),
    );
  if (flagField(part, "handle_chinese_chars", true))
    steps.push(each((code, character) => (isChinese(code) ? ` ${character} ` : character)));
  if (flagField(part, "strip_accents", lowercase))
    steps.push(simple((text) => text.normalize("NFD").replace(/\p{Mn}/gu, "")));
  if (lowercase) steps.push(lower);
  return inSequence(steps);
}

/** Lower case, letter by letter: a sigma at the end of a word is as any other. */
const lower = simple((text) => (text.includes("Σ") ? text.replaceAll("Σ", "σ") : text).toLowerCase());

/** What SentencePiece's nmt rules leave out, and what they make a space. */
const nmtDrops = (code: number): boolean =>
  (code >= 1 && code <= 8) || code === 0xb || (code >= 0xe && code <= 0x1f) || [0x7f, 0x8f, 0x9f].includes(code);
const nmtSpaces = new Set([
  9, 10, 12, 13, 0x1680, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd,
]);

function strip(part: Part): Normalizer {
  const left = flagField(part, "strip_left", true);
  const right = flagField(part, "strip_right", true);
  return simple((text) => {
    const from = left ? text.search(/\P{White_Space}/u) : 0;
    const rest = from < 0 ? "" : text.slice(from);
    if (!right) return rest;
    let end = rest.length;
    while (end > 0 && isWhiteSpace(rest.charCodeAt(end - 1))) end--;
    return rest.slice(0, end);
  });
}

const kinds: Readonly<Record<string, (part: Part, depth: number) => Normalizer>> = {
  Sequence: (part, depth) =>
    inSequence(listField(part, "normalizers", (json, where) => readNormalizer(json, where, depth + 1))),
  BertNormalizer: bert,
  Strip: strip,
  StripAccents: () => simple((text) => text.replace(/\p{M}/gu, "")),
  NFC: () => simple((text) => text.normalize("NFC")),
  NFD: () => simple((text) => text.normalize("NFD")),
  NFKC: () => simple((text) => text.normalize("NFKC")),
  NFKD: () => simple((text) => text.normalize("NFKD")),
  Lowercase: () => lower,
  Nmt: () => each((code, character) => (nmtDrops(code) ? "" : nmtSpaces.has(code) ? " " : character)),
  Prepend(part) {
    const prepend = textField(part, "prepend");
    return simple((text) => (text === "" ? text : prepend + text));
  },
  Replace: (part) => replaceAll(patternField(part), textField(part, "content")),
  Precompiled: (part) => precompiled(textField(part, "precompiled_charsmap"), part.where),
  ByteLevel: () => each((_, character) => spellBytes(character)),
};

/** Reads the `normalizer` of tokenizer.json; null is none. Throws a `TokenizerError` for one that is not supported. */
export function readNormalizer(json: unknown, where: string, depth = 0): Normalizer {
  if (json === null || json === undefined) return inSequence([]);
  const part = partOf(json, where, depth);
  const kind = part.json.type as string;
  if (!Object.hasOwn(kinds, kind))
    throw new TokenizerError(`${where} has the type ${show(kind)}; supported are ${Object.keys(kinds).join(", ")}`);
  return kinds[kind]!(part, depth);
}
