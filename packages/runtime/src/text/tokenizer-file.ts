import { show, TokenizerError } from "../error.js";
import { isRecord } from "../files/files.js";
import { type AddedToken, readAddedToken, readAddedTokens } from "./tokenizers/added-tokens.js";
import { type Decoder, readDecoder } from "./tokenizers/decoders.js";
import { readModel } from "./tokenizers/models.js";
import type { Normalizer } from "./tokenizers/normalizer.js";
import { readNormalizer } from "./tokenizers/normalizers.js";
import { type Frame, readPostProcessor } from "./tokenizers/post-processors.js";
import { type PreTokenizer, readPreTokenizer } from "./tokenizers/pre-tokenizers.js";
import type { TokenModel } from "./tokenizers/token-model.js";

/** What tokenizer.json and tokenizer_config.json say, checked. */
export interface TokenizerFile {
  readonly model: TokenModel;
  readonly normalizer: Normalizer;
  readonly preTokenizer: PreTokenizer;
  readonly decoder: Decoder | undefined;
  /** The decoder as the file has it. */
  readonly decoderJson: unknown;
  readonly frame: Frame;
  readonly added: readonly AddedToken[];
  /** Tokens that the configuration names: `bos_token` and so on. */
  readonly named: Readonly<Record<string, string>>;
  /** Chat templates by name; a model with one has it as "default". */
  readonly templates: Readonly<Record<string, string>>;
}

/** Throws {@link TokenizerError}. `name` stands before the files' names in errors. */
export function readTokenizer(json: unknown, config: unknown, name: string): TokenizerFile {
  const where = `${name}/tokenizer.json`;
  if (!isRecord(json) || !isRecord(json.model))
    throw new TokenizerError(`${where}: is ${show(json)}; it must be an object with a model`);
  if (!isRecord(config))
    throw new TokenizerError(`${name}/tokenizer_config.json: is ${show(config)}; it must be an object`);
  const named = namedTokens(config);
  const given = addedTokens(json, config, where, named);
  const special = new Set(given.filter((token) => token.special).map(({ content }) => content));
  const model = readModel({ json: json.model, where, isSpecial: (token) => special.has(token) });
  return {
    model,
    normalizer: readNormalizer(json.normalizer, `${where}: normalizer`),
    preTokenizer: readPreTokenizer(json.pre_tokenizer, `${where}: pre_tokenizer`),
    decoder: readDecoder(json.decoder, `${where}: decoder`),
    decoderJson: json.decoder,
    frame: readPostProcessor(json.post_processor, `${where}: post_processor`),
    added: placed(given, model),
    named,
    templates: chatTemplates(config, name),
  };
}

/** Ids of tokens that the configuration alone names are not known before the vocabulary is. */
const unplaced = -1;

/** Added tokens of both files, as transformers puts them together: those of the configuration come after. */
function addedTokens(
  json: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  where: string,
  named: Readonly<Record<string, string>>,
): AddedToken[] {
  const isNamed = new Set(Object.values(named));
  const tokens = new Map<string, AddedToken>();
  const add = (token: AddedToken): void => {
    if (!tokens.has(token.content))
      tokens.set(token.content, isNamed.has(token.content) ? { ...token, special: true } : token);
  };
  for (const token of readAddedTokens(json.added_tokens, where)) add(token);
  if (isRecord(config.added_tokens_decoder)) {
    const entries = Object.entries(config.added_tokens_decoder).sort(([a], [b]) => Number(a) - Number(b));
    for (const [id, entry] of entries)
      add(
        readAddedToken(
          entry,
          `${where.replace("tokenizer.json", "tokenizer_config.json")}: added_tokens_decoder`,
          Number(id),
        ),
      );
  }
  const flags = { special: true, singleWord: false, lstrip: false, rstrip: false, normalized: false };
  for (const content of isNamed) add({ id: unplaced, content, ...flags });
  return [...tokens.values()];
}

/** Gives every added token its id: the vocabulary's if it has the token, else its own, else the next that is free. */
function placed(tokens: readonly AddedToken[], { ids, tokens: known }: TokenModel): AddedToken[] {
  let next = known.length;
  for (const { id } of tokens) next = Math.max(next, id + 1);
  return tokens.map((token) => {
    const id = ids.get(token.content) ?? (token.id === unplaced ? next++ : token.id);
    return id === token.id ? token : { ...token, id };
  });
}

/** `bos_token`, `eos_token` and the like, as text, whether written as a string or as an object with a content. */
function namedTokens(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const named: Record<string, string> = {};
  for (const key of ["bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"]) {
    const value = config[key];
    const text = isRecord(value) ? value.content : value;
    if (typeof text === "string" && text !== "") named[key] = text;
  }
  return named;
}

function chatTemplates(config: Readonly<Record<string, unknown>>, name: string): Record<string, string> {
  const { chat_template: given } = config;
  if (given === undefined || given === null) return {};
  if (typeof given === "string") return { default: given };
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  return Object.fromEntries(
    list.map((entry) => {
      if (!isRecord(entry) || typeof entry.name !== "string" || typeof entry.template !== "string")
        throw new TokenizerError(
          `${name}/tokenizer_config.json: chat_template is ${show(given)}; it must be a string, or a list of templates with names`,
        );
      return [entry.name, entry.template];
    }),
  );
}
