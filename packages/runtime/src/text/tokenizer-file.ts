import { show, TokenizerError } from "../error.js";
import { isRecord } from "../files/files.js";
import { repeatsRepeats } from "./backtracking.js";

// What a tokenizer needs of tokenizer.json and tokenizer_config.json, checked.

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** The token as the file has it. */
  readonly entry: Readonly<Record<string, unknown>>;
}

export interface TokenizerFile {
  readonly json: Readonly<Record<string, unknown>> & { readonly model: Readonly<Record<string, unknown>> };
  readonly config: Readonly<Record<string, unknown>>;
  /** Every token by id, added ones included. */
  readonly vocabulary: ReadonlyMap<number, string>;
  readonly added: readonly AddedToken[];
  /** Tokens that the configuration names: `bos_token` and so on. */
  readonly named: Readonly<Record<string, string>>;
  readonly template: string | undefined;
}

const models = ["BPE", "Unigram", "WordPiece"];

/** Largest token id taken: vocabularies known have fewer than 2^19. */
const largestId = 2 ** 24;

/** Throws {@link TokenizerError}. `name` stands before the files' names in errors. */
export function readTokenizer(json: unknown, config: unknown, name: string): TokenizerFile {
  const file = `${name}/tokenizer.json`;
  if (!isRecord(json) || !isRecord(json.model))
    throw new TokenizerError(`${file}: is ${show(json)}; it must be an object with a model`);
  if (!isRecord(config))
    throw new TokenizerError(`${name}/tokenizer_config.json: is ${show(config)}; it must be an object`);
  const { model } = json;
  if (!models.includes(String(model.type))) {
    throw new TokenizerError(`${file}: model.type is ${show(model.type)}; supported: ${models.join(", ")}`);
  }
  for (const part of ["normalizer", "pre_tokenizer", "decoder"]) checkPatterns(json[part], `${file}: ${part}`);
  const vocabulary = readVocabulary(model, file);
  const added = readAdded(json.added_tokens, file);
  for (const { id, content } of added) vocabulary.set(id, content);
  return {
    json: { ...json, model },
    config,
    vocabulary,
    added,
    named: namedTokens(config),
    template: chatTemplate(config, name),
  };
}

function readVocabulary(model: Record<string, unknown>, file: string): Map<number, string> {
  const { vocab } = model;
  const byId = new Map<number, string>();
  if (Array.isArray(vocab)) {
    vocab.forEach((entry: unknown, id) => {
      if (!Array.isArray(entry) || typeof entry[0] !== "string" || typeof entry[1] !== "number") {
        throw new TokenizerError(
          `${file}: model.vocab[${id}] is ${show(entry)}; it must be a pair of a piece and its score`,
        );
      }
      byId.set(id, entry[0]);
    });
  } else if (vocab instanceof Map || isRecord(vocab)) {
    eachToken(vocab, (token, id) => {
      if (!isId(id))
        throw new TokenizerError(
          `${file}: model.vocab has the id ${show(id)} for ${show(token)}; it must be a whole number from 0 to ${largestId}`,
        );
      if (byId.has(id))
        throw new TokenizerError(
          `${file}: model.vocab has the id ${id} twice, for ${show(byId.get(id))} and ${show(token)}`,
        );
      byId.set(id, token);
    });
  } else
    throw new TokenizerError(`${file}: model.vocab is ${show(vocab)}; it must be an object of ids or a list of pieces`);
  if (byId.size === 0) throw new TokenizerError(`${file}: model.vocab is empty`);
  if (model.merges !== undefined && !Array.isArray(model.merges))
    throw new TokenizerError(`${file}: model.merges is ${show(model.merges)}; it must be a list`);
  return byId;
}

/**
 * The tokens of a vocabulary with their ids, as the file has them. Not by entries: a pair for each of some hundred
 * thousand tokens is memory.
 */
export function eachToken(
  vocab: ReadonlyMap<string, unknown> | Readonly<Record<string, unknown>>,
  visit: (token: string, id: unknown) => void,
): void {
  if (vocab instanceof Map) vocab.forEach((id, token: string) => visit(token, id));
  else for (const token of Object.keys(vocab)) visit(token, (vocab as Record<string, unknown>)[token]);
}

const isId = (id: unknown): id is number =>
  Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) <= largestId;

function readAdded(list: unknown, file: string): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw new TokenizerError(`${file}: added_tokens is ${show(list)}; it must be a list`);
  return list.map((entry: unknown, i) => {
    if (!isRecord(entry) || !isId(entry.id) || typeof entry.content !== "string" || entry.content === "") {
      throw new TokenizerError(
        `${file}: added_tokens[${i}] is ${show(entry)}; it must be an object with an id and a content`,
      );
    }
    return { id: entry.id, content: entry.content, special: entry.special === true, entry };
  });
}

/**
 * The library passes over a pattern that it does not know; the text would then vanish. One that backtracks without end
 * would hang.
 */
function checkPatterns(value: unknown, where: string): void {
  // Not by recursion, since files may nest without end.
  const rest: unknown[] = [value];
  for (let item = rest.pop(); item !== undefined; item = rest.pop()) {
    if (!isRecord(item)) continue;
    const { pattern, type } = item;
    const wanted = pattern !== undefined || type === "Split" || type === "Replace";
    if (wanted && !(isRecord(pattern) && (typeof pattern.Regex === "string" || typeof pattern.String === "string"))) {
      throw new TokenizerError(
        `${where} has the pattern ${show(pattern)}; it must be an object with a Regex or a String`,
      );
    }
    if (isRecord(pattern) && typeof pattern.Regex === "string" && repeatsRepeats(pattern.Regex)) {
      throw new TokenizerError(
        `${where} has the pattern ${show(pattern.Regex)}, which repeats what repeats and may take time without end; it must not`,
      );
    }
    for (const list of [item.normalizers, item.pretokenizers, item.decoders])
      if (Array.isArray(list)) for (const part of list) rest.push(part);
  }
}

/** `bos_token`, `eos_token` and the like, as text, whether written as a string or as an object with a content. */
function namedTokens(config: Record<string, unknown>): Record<string, string> {
  const named: Record<string, string> = {};
  for (const key of ["bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"]) {
    const value = config[key];
    const text = isRecord(value) ? value.content : value;
    if (typeof text === "string" && text !== "") named[key] = text;
  }
  return named;
}

function chatTemplate(config: Record<string, unknown>, name: string): string | undefined {
  let template = config.chat_template;
  if (Array.isArray(template))
    template = template.find((entry) => isRecord(entry) && entry.name === "default")?.template;
  if (template === undefined || template === null) return undefined;
  if (typeof template !== "string")
    throw new TokenizerError(`${name}/tokenizer_config.json: chat_template is ${show(template)}; it must be a string`);
  return template;
}
