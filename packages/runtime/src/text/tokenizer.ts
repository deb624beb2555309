import { inSlices } from "../engine/in-slices.js";
import { show, TokenizerError } from "../error.js";
import { isRecord, type ModelFiles, readJson, readText } from "../files/files.js";
import { byteStream, pieceStream, type TextStream, textStream } from "./detokenize.js";
import { readTokenizer } from "./tokenizer-file.js";
import { AddedTokens } from "./tokenizers/added-tokens.js";
import { drain } from "./tokenizers/field.js";

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

export interface TokenDecodeOptions {
  /** Whether special tokens are left out of the text. Default false: they are written out. */
  readonly skipSpecial?: boolean;
}

/** Text to token ids and back. */
export interface Tokenizer {
  /** One more than the greatest token id. May be more, or less, than the model's embedding has rows. */
  readonly vocabularySize: number;
  /** Special tokens that the configuration names, as text: `bos_token`, `eos_token` and so on. */
  readonly named: Readonly<Record<string, string>>;
  /** The default chat template; undefined if there is none. */
  readonly chatTemplate: string | undefined;
  /** Chat templates by name, `default` among them. */
  readonly chatTemplates: Readonly<Record<string, string>>;
  /** Encodes a text at once, in time that grows with it like n log n. Throws {@link TokenizerError}. */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Encodes a text in slices of a few milliseconds, between which the thread is free. Rejects with
   * {@link TokenizerError}, or with the signal's reason once it is aborted.
   */
  encodeAsync(text: string, options?: EncodeOptions & { readonly signal?: AbortSignal | undefined }): Promise<number[]>;
  /** Throws {@link TokenizerError} for an id outside the vocabulary. */
  decode(ids: readonly number[], options?: TokenDecodeOptions): string;
  /** A decoder that takes one id at a time and never gives a part of a character. */
  stream(options?: TokenDecodeOptions): TextStream;
  /** The id of a token as the vocabulary spells it; undefined for none. */
  idOf(token: string): number | undefined;
  /** All special tokens, as text, longest first. */
  readonly specialTokens: readonly string[];
  isSpecial(id: number): boolean;
  /** Ids that end an answer as far as the tokenizer's files say: that of `eos_token`, and others known by name. */
  readonly endTokens: readonly number[];
}

/**
 * Loads the tokenizer files of a model; undefined if there is no tokenizer.json. Rejects with {@link TokenizerError},
 * or FormatError if a file is not JSON.
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

/** What a file says beside tokenizer.json. */
export interface TokenizerExtras {
  /** Tokens by id, for ids that the vocabulary lacks because another id has the same token. */
  readonly spellings?: readonly string[];
  /** Names of special tokens that end an answer. */
  readonly endNames?: readonly string[];
}

/**
 * Makes a tokenizer of parsed tokenizer.json and tokenizer_config.json. Its ids are those of the reference library
 * (huggingface/tokenizers), except that text alone never becomes a special token. Throws {@link TokenizerError} for
 * files that are malformed, or need what is not supported. `name` stands before the files' names in errors.
 */
export function makeTokenizer(
  json: unknown,
  config: unknown = {},
  name = "tokenizer",
  { spellings = [], endNames = [] }: TokenizerExtras = {},
): Tokenizer {
  const where = `${name}/tokenizer.json`;
  const file = readTokenizer(json, config, name);
  const { model, added, named, frame, preTokenizer, decoder } = file;
  const tokens = new AddedTokens(added, file.normalizer);
  const addedById = new Map(added.map((token) => [token.id, token.content]));
  const addedIds = new Map(added.map((token) => [token.content, token.id]));
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  const specialTokens = added
    .filter((token) => token.special)
    .map(({ content }) => content)
    .sort((a, b) => b.length - a.length);
  let vocabularySize = Math.max(model.tokens.length, spellings.length);
  for (const id of addedById.keys()) vocabularySize = Math.max(vocabularySize, id + 1);

  const spelling = (id: number): string => {
    const token = addedById.get(id) ?? model.tokens[id] ?? spellings[id];
    if (token === undefined)
      throw new TokenizerError(`${where}: ${show(id)} is no token id; ids go from 0 to ${vocabularySize - 1}`);
    return token;
  };
  const isByteLevel = isRecord(file.decoderJson) && file.decoderJson.type === "ByteLevel";
  const pieces = sentencePieceDecoder(file.decoderJson);
  const decodeAll = (ids: readonly number[]): string => {
    const texts = ids.map(spelling);
    return decoder ? decoder(texts).join("") : texts.join(" ");
  };
  const stream = ({ skipSpecial = false }: TokenDecodeOptions = {}): TextStream => {
    const isSkipped = (id: number) => skipSpecial && special.has(id);
    const lookUp = (id: number) => ({ text: spelling(id), skipped: isSkipped(id) });
    if (isByteLevel) return byteStream(lookUp);
    if (pieces) return pieceStream(lookUp, pieces.strip);
    return textStream(decodeAll, (id) => spelling(id) !== undefined && isSkipped(id));
  };

  function* encodeSteps(
    text: string,
    { special = false, ignore = "", addSpecialTokens = false }: EncodeOptions,
  ): Generator<void, number[]> {
    if (typeof text !== "string")
      throw new TokenizerError(`${where}: cannot encode ${show(text)}; it must be a string`);
    const ids: number[] = addSpecialTokens ? [...frame.before] : [];
    let isFirst = true;
    // Half of a surrogate pair has no UTF-8.
    const whole = text.replace(/\p{Cs}/gu, "\ufffd");
    for (const segment of yield* tokens.segments(whole, { special, ignore })) {
      if (typeof segment === "number") ids.push(segment);
      else {
        let count = 0;
        for (const piece of yield* preTokenizer([{ text: segment, isFirst }])) {
          const steps = model.encode(piece.text, ids);
          if (steps) yield* steps;
          if (++count % 1024 === 0) yield;
        }
      }
      isFirst = false;
    }
    if (addSpecialTokens) for (const id of frame.after) ids.push(id);
    return ids;
  }
  /** The steps, whose errors all are {@link TokenizerError}s. */
  function* encoding(text: string, options: EncodeOptions): Generator<void, number[]> {
    try {
      return yield* encodeSteps(text, options);
    } catch (error) {
      if (error instanceof TokenizerError) throw error;
      throw new TokenizerError(`${where}: cannot encode ${show(text)}: ${(error as Error).message}`);
    }
  }

  const idOf = (token: string) => addedIds.get(token) ?? model.ids.get(token);
  const ends = [...(named.eos_token === undefined ? [] : [named.eos_token]), ...endNames].flatMap(
    (token) => idOf(token) ?? [],
  );

  return {
    vocabularySize,
    endTokens: [...new Set(ends)],
    named,
    chatTemplate: file.templates.default,
    chatTemplates: file.templates,
    specialTokens,
    encode: (text, options = {}) => drain(encoding(text, options)),
    async encodeAsync(text, { signal, ...options } = {}) {
      signal?.throwIfAborted();
      return inSlices(encoding(text, options), signal);
    },
    decode(ids, options) {
      const out = stream(options);
      return ids.map((id) => out.push(id)).join("") + out.end();
    },
    stream,
    idOf,
    isSpecial: (id) => special.has(id),
  };
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
