import { Tokenizer as Library } from "@huggingface/tokenizers";
import { reason, show, TokenizerError } from "../error.js";
import { isRecord, type ModelFiles, readJson, readText } from "../files/files.js";
import { fillBpe } from "./bpe.js";
import { byteStream, pieceStream, type TextStream, textStream } from "./detokenize.js";
import { eachToken, readTokenizer, type TokenizerFile } from "./tokenizer-file.js";
import { normalizerLikeReference, preTokenizerLikeReference } from "./tokenizer-parts.js";

// tokenizer.json and tokenizer_config.json, by @huggingface/tokenizers. The library looks for special tokens in every
// text. So that text which only looks like one stays text, the library is told aliases that no text can hold; a special
// token is then encoded where, and only where, its alias is put.

export interface EncodeOptions {
  /**
   * Whether special tokens written in the text become special tokens. Default false: they stay text, as they must in
   * what a user wrote.
   */
  readonly special?: boolean;
  /**
   * A character that is no part of the text: it only keeps what stands on both sides of it from being a special token.
   */
  readonly ignore?: string;
  /** Whether to add what the tokenizer's post-processor adds around a text, such as a first token. Default false. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Whether special tokens are left out of the text. Default false: they are written out. */
  readonly skipSpecial?: boolean;
}

/** Text to token ids and back. */
export interface Tokenizer {
  /** One more than the greatest token id. */
  readonly vocabularySize: number;
  /** Special tokens that the configuration names, as text: `bos_token`, `eos_token` and so on. */
  readonly named: Readonly<Record<string, string>>;
  /** The chat template, where there is one. */
  readonly chatTemplate: string | undefined;
  encode(text: string, options?: EncodeOptions): number[];
  /** Throws {@link TokenizerError} for an id outside the vocabulary. */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** A decoder that is fed one id at a time and never gives a part of a character. */
  stream(options?: DecodeOptions): TextStream;
  idOf(token: string): number | undefined;
  /** All special tokens, as text, longest first. */
  readonly specialTokens: readonly string[];
  isSpecial(id: number): boolean;
}

interface Special {
  readonly id: number;
  readonly content: string;
  readonly alias: string;
}

/**
 * Tokenizer files of a model; undefined where there is no tokenizer.json. Rejects with {@link TokenizerError}, or
 * FormatError where a file is not JSON.
 */
export async function loadTokenizer(files: ModelFiles): Promise<Tokenizer | undefined> {
  const json = await readJson(files, "tokenizer.json");
  if (json === undefined) return undefined;
  const config = (await readJson(files, "tokenizer_config.json")) ?? {};
  const template = await readText(files, "chat_template.jinja");
  return makeTokenizer(
    json,
    template === undefined || !isRecord(config) ? config : { ...config, chat_template: template },
    files.name,
  );
}

/**
 * A tokenizer of parsed tokenizer.json and tokenizer_config.json. Throws {@link TokenizerError}. `name` stands before
 * the files' names in errors.
 */
export function makeTokenizer(json: unknown, config: unknown = {}, name = "tokenizer"): Tokenizer {
  const file = `${name}/tokenizer.json`;
  const checked = readTokenizer(json, config, name);
  const { vocabulary, added, named, template } = checked;
  const isNamed = new Set(Object.values(named));
  const specials: Special[] = added
    .filter((token) => token.special || isNamed.has(token.content))
    .map(({ id, content }) => ({ id, content, alias: makeAlias(id) }));
  const byContent = new Map(specials.map((special) => [special.content, special]));
  const bySpecialId = new Map(specials.map((special) => [special.id, special]));
  let idByToken: Map<string, number> | undefined;
  let vocabularySize = 0;
  for (const id of vocabulary.keys()) vocabularySize = Math.max(vocabularySize, id + 1);
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern =
    contents.length === 0
      ? undefined
      : new RegExp(contents.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");

  let library: Library;
  try {
    library = new Library(withAliases(checked, byContent), {
      ...flags(checked.config),
      ...aliasConfig(named, byContent),
    });
    if (checked.json.model.type === "BPE") {
      const { vocab, merges } = checked.json.model as { vocab: Record<string, unknown>; merges: unknown[] };
      const nameOf = (token: string) => byContent.get(token)?.alias ?? token;
      fillBpe(library, (add) => eachToken(vocab, (token, id) => add(nameOf(token), id as number)), merges);
    }
    library.encode("a");
  } catch (error) {
    throw new TokenizerError(`${file}: cannot be used: ${reason(error)}`);
  }

  const check = (id: number): string => {
    const token = vocabulary.get(id);
    if (token === undefined)
      throw new TokenizerError(`${file}: ${show(id)} is no token id; ids go from 0 to ${vocabularySize - 1}`);
    return token;
  };
  const byteLevel = isRecord(checked.json.decoder) && checked.json.decoder.type === "ByteLevel";
  const pieces = sentencePieceDecoder(checked.json.decoder);
  const stream = ({ skipSpecial = false }: DecodeOptions = {}): TextStream => {
    const skipped = (id: number) => skipSpecial && bySpecialId.has(id);
    const lookUp = (id: number) => ({ text: check(id), skipped: skipped(id) });
    if (byteLevel) return byteStream(lookUp);
    if (pieces) return pieceStream(lookUp, pieces.strip);
    return textStream(
      (ids) => decodeByLibrary(library, ids, bySpecialId),
      (id) => check(id) !== undefined && skipped(id),
    );
  };

  return {
    vocabularySize,
    named,
    chatTemplate: template,
    specialTokens: contents,
    encode(text, { special = false, ignore = "", addSpecialTokens = false } = {}) {
      if (typeof text !== "string")
        throw new TokenizerError(`${file}: cannot encode ${show(text)}; it must be a string`);
      let marked = text;
      if (special && pattern) {
        const isIgnored = (content: string, at: number) =>
          content.length === 1 && ignore !== "" && text[at - 1] === ignore && text[at + 1] === ignore;
        marked = text.replace(pattern, (content, at: number) =>
          isIgnored(content, at) ? content : byContent.get(content)!.alias,
        );
      }
      if (ignore !== "") marked = marked.replaceAll(ignore, "");
      if (marked === "" && !addSpecialTokens) return [];
      let ids: (number | undefined)[];
      try {
        ids = library.encode(marked, { add_special_tokens: addSpecialTokens }).ids;
      } catch (error) {
        throw new TokenizerError(`${file}: cannot encode ${show(text)}: ${reason(error)}`);
      }
      // A character that the vocabulary lacks, where there is no unknown token, is dropped, as the reference library
      // does.
      return ids.filter((id) => id !== undefined);
    },
    decode(ids, options) {
      const out = stream(options);
      return ids.map((id) => out.push(id)).join("") + out.end();
    },
    stream,
    idOf(token) {
      if (!idByToken) {
        idByToken = new Map();
        for (const [id, name] of vocabulary) idByToken.set(name, id);
      }
      return idByToken.get(token);
    },
    isSpecial: (id) => bySpecialId.has(id),
  };
}

/**
 * A name for a special token that no text can hold but by guessing 96 random bits. Private-use characters keep
 * normalisers and splitters from touching it.
 */
function makeAlias(id: number): string {
  const words = crypto.getRandomValues(new Uint32Array(3));
  return `\ue000${[...words].map((word) => word.toString(36)).join("")}\ue001${id}\ue002`;
}

/**
 * Settings that change how the library encodes. Spaces are never cleaned up: a stream could not take back a space that
 * it gave.
 */
const flags = (config: Readonly<Record<string, unknown>>) => ({
  remove_space: config.remove_space,
  do_lowercase_and_remove_accent: config.do_lowercase_and_remove_accent,
  clean_up_tokenization_spaces: false,
});

const aliasConfig = (named: Readonly<Record<string, string>>, byContent: ReadonlyMap<string, Special>) =>
  Object.fromEntries(Object.entries(named).map(([key, text]) => [key, byContent.get(text)?.alias ?? text]));

/**
 * tokenizer.json with every special token under its alias, and parts that do as the reference library's. A BPE is left
 * without tokens and merges.
 */
function withAliases({ json, added }: TokenizerFile, byContent: ReadonlyMap<string, Special>): Record<string, unknown> {
  const rename = (text: unknown) => (typeof text === "string" ? (byContent.get(text)?.alias ?? text) : text);
  const model: Record<string, unknown> = { ...json.model };
  if (model.type === "BPE") Object.assign(model, { vocab: {}, merges: [] });
  else if (Array.isArray(model.vocab))
    model.vocab = model.vocab.map(([piece, score]: [string, number]) => [rename(piece), score]);
  else
    model.vocab = Object.fromEntries(Object.entries(model.vocab as object).map(([token, id]) => [rename(token), id]));
  if (typeof model.unk_token === "string") model.unk_token = rename(model.unk_token);
  return {
    normalizer: normalizerLikeReference(json.normalizer ?? null),
    pre_tokenizer: preTokenizerLikeReference(json.pre_tokenizer ?? null),
    decoder: json.decoder ?? null,
    post_processor: renameAll(json.post_processor ?? null, rename),
    model,
    added_tokens: added.map(({ entry, content }) => ({ ...entry, content: rename(content) })),
  };
}

function renameAll(value: unknown, rename: (text: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => renameAll(item, rename));
  if (isRecord(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [rename(key), renameAll(item, rename)]));
  return rename(value);
}

/**
 * Whether a decoder is the one of SentencePiece models with bytes for what they lack, and whether it strips the first
 * space; undefined for any other.
 */
function sentencePieceDecoder(decoder: unknown): { readonly strip: boolean } | undefined {
  if (!isRecord(decoder) || decoder.type !== "Sequence" || !Array.isArray(decoder.decoders)) return undefined;
  const [replace, bytes, fuse, strip, ...rest] = decoder.decoders as unknown[];
  const is = (part: unknown, type: string) => isRecord(part) && part.type === type;
  if (!is(replace, "Replace") || !is(bytes, "ByteFallback") || !is(fuse, "Fuse") || rest.length > 0) return undefined;
  const { pattern, content } = replace as Record<string, unknown>;
  if (!isRecord(pattern) || pattern.String !== "\u2581" || content !== " ") return undefined;
  if (strip === undefined) return { strip: false };
  const { content: what, start, stop } = strip as Record<string, unknown>;
  return is(strip, "Strip") && what === " " && start === 1 && stop === 0 ? { strip: true } : undefined;
}

function decodeByLibrary(library: Library, ids: readonly number[], bySpecialId: ReadonlyMap<number, Special>): string {
  if (ids.length === 0) return "";
  const text = library.decode([...ids]);
  return text.replace(/\ue000[0-9a-z]+\ue001(\d+)\ue002/g, (alias: string, id: string) => {
    const special = bySpecialId.get(Number(id));
    return special && special.alias === alias ? special.content : alias;
  });
}
