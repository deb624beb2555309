import { show, TokenizerError } from "../error.js";
import { endOfTurnNames } from "../text/end-of-turn.js";
import { makeTokenizer, type Tokenizer } from "../text/tokenizer.js";
import type { MetadataValue } from "./header.js";
import { type PreTokenizer, preTokenizers } from "./pre-tokenizers.js";

// A GGUF file's tokenizer as the tokenizer.json that it was made from: a byte-level BPE with its merges (model "gpt2"),
// or SentencePiece's BPE with scores ("llama"), whose merges are found again from the scores.

type Metadata = ReadonlyMap<string, MetadataValue>;

/** Kinds of tokens (enum llama_token_type). */
const kind = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The tokenizer that the metadata hold; undefined if there is none. Throws {@link TokenizerError}. */
export function ggufTokenizer(metadata: Metadata, file: string): Tokenizer | undefined {
  const model = metadata.get("tokenizer.ggml.model");
  if (model === undefined || model === "no_vocab") return undefined;
  if (model !== "gpt2" && model !== "llama")
    throw new TokenizerError(`${file}: tokenizer.ggml.model is ${show(model)}; supported: gpt2, llama`);
  const tokens = list(metadata, "tokens", file, (value) => typeof value === "string", "strings") as readonly string[];
  if (tokens.length === 0) throw new TokenizerError(`${file}: tokenizer.ggml.tokens is empty`);
  const kinds = metadata.has("tokenizer.ggml.token_type")
    ? (list(metadata, "token_type", file, (value) => typeof value === "number", "numbers") as readonly number[])
    : tokens.map(() => kind.normal);
  if (kinds.length !== tokens.length)
    throw new TokenizerError(`${file}: has ${tokens.length} tokens and ${kinds.length} token types`);
  // Of a token that the list has twice, the first id is written; both can be read.
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (!ids.has(token)) ids.set(token, id);
  });
  const json = model === "gpt2" ? byteLevel(metadata, file, ids) : sentencePiece(metadata, file, tokens, kinds, ids);
  // Some files say that an end of turn is the user's, or a normal token; one that merges make is a word like others.
  const made = new Set(
    (json.model.merges as readonly unknown[]).map((merge) => [merge].flat().join("").replace(" ", "")),
  );
  const isEnd = (token: string, id: number) =>
    endOfTurnNames.includes(token) && (kinds[id] !== kind.normal || !made.has(token));
  const isAdded = (id: number) =>
    kinds[id] === kind.control || kinds[id] === kind.userDefined || (model === "llama" && kinds[id] === kind.unknown);
  const added: object[] = [];
  tokens.forEach((content, id) => {
    if (content === "" || ids.get(content) !== id || !(isAdded(id) || isEnd(content, id))) return;
    added.push({
      id,
      content,
      special: kinds[id] !== kind.userDefined || isEnd(content, id),
      normalized: false,
      lstrip: false,
      rstrip: false,
      single_word: false,
    });
  });
  const named = Object.fromEntries(
    [
      ["bos_token", "bos"],
      ["eos_token", "eos"],
      ["unk_token", "unknown"],
      ["pad_token", "padding"],
      ["sep_token", "seperator"],
    ].flatMap(([name, key]) => {
      const id = metadata.get(`tokenizer.ggml.${key}_token_id`);
      const token = typeof id === "number" ? tokens[id] : undefined;
      return token === undefined ? [] : [[name!, token]];
    }),
  ) as Record<string, string>;
  return makeTokenizer(
    {
      ...json,
      added_tokens: added,
      post_processor: postProcessor(metadata, model === "llama" || ruleOf(metadata, file).bos === true, named, ids),
    },
    { ...named, chat_template: templatesOf(metadata) },
    file,
    { spellings: tokens, endNames: endOfTurnNames.filter((token) => isEnd(token, ids.get(token) ?? -1)) },
  );
}

/** Chat templates by name, as tokenizer_config.json lists them. */
function templatesOf(metadata: Metadata): object[] {
  const key = "tokenizer.chat_template";
  return [...metadata].flatMap(([name, template]) =>
    name === key || (name.startsWith(`${key}.`) && typeof template === "string")
      ? [{ name: name === key ? "default" : name.slice(key.length + 1), template }]
      : [],
  );
}

function list(
  metadata: Metadata,
  name: string,
  file: string,
  test: (value: unknown) => boolean,
  what: string,
): readonly MetadataValue[] {
  const value = metadata.get(`tokenizer.ggml.${name}`);
  if (!Array.isArray(value) || !value.every(test)) {
    throw new TokenizerError(`${file}: tokenizer.ggml.${name} is ${show(value)}; it must be a list of ${what}`);
  }
  return value;
}

function ruleOf(metadata: Metadata, file: string): PreTokenizer {
  const name = metadata.get("tokenizer.ggml.pre") ?? "gpt-2";
  const rule = typeof name === "string" && Object.hasOwn(preTokenizers, name) ? preTokenizers[name] : undefined;
  if (!rule)
    throw new TokenizerError(
      `${file}: tokenizer.ggml.pre is ${show(name)}; supported: ${Object.keys(preTokenizers).join(", ")}`,
    );
  return rule;
}

function byteLevel(metadata: Metadata, file: string, ids: ReadonlyMap<string, number>) {
  const rule = ruleOf(metadata, file);
  const listed = list(metadata, "merges", file, (value) => typeof value === "string", "strings") as readonly string[];
  // llama.cpp writes the parts of a merge whose outcome is no token.
  const merges = listed.filter((merge) => {
    const space = merge.indexOf(" ", 1);
    return [merge.slice(0, space), merge.slice(space + 1), merge.slice(0, space) + merge.slice(space + 1)].every(
      (token) => ids.has(token),
    );
  });
  const splits = rule.patterns.map((Regex) => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  }));
  return {
    normalizer: rule.normalizer ?? null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [...splits, { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false }],
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: ids, merges, ignore_merges: rule.ignoreMerges === true, unk_token: null },
  };
}

/** The mark that SentencePiece writes for a space. */
const space = "▁";

function sentencePiece(
  metadata: Metadata,
  file: string,
  tokens: readonly string[],
  kinds: readonly number[],
  ids: ReadonlyMap<string, number>,
) {
  const scores = list(metadata, "scores", file, (value) => typeof value === "number", "numbers") as readonly number[];
  if (scores.length !== tokens.length)
    throw new TokenizerError(`${file}: has ${tokens.length} tokens and ${scores.length} scores`);
  const prefix = metadata.get("tokenizer.ggml.add_space_prefix") !== false;
  const replace = { type: "Replace", pattern: { String: " " }, content: space };
  const unknown = metadata.get("tokenizer.ggml.unknown_token_id") ?? 0;
  return {
    normalizer: prefix ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: space }, replace] } : replace,
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: space }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      vocab: ids,
      merges: mergesOf(tokens, kinds, scores, ids),
      unk_token: typeof unknown === "number" ? (tokens[unknown] ?? null) : null,
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

/**
 * The longest piece, in characters, that is looked at for merges; SentencePiece's own limit is 16, long runs of spaces
 * are a little longer.
 */
const longestPiece = 64;

/**
 * Every way to make a piece of two others, the best score first, as transformers' converter of SentencePiece models
 * orders them.
 */
function mergesOf(
  tokens: readonly string[],
  kinds: readonly number[],
  scores: readonly number[],
  ids: ReadonlyMap<string, number>,
): [string, string][] {
  const usable = (id: number | undefined) =>
    id !== undefined && (kinds[id] === kind.normal || kinds[id] === kind.userDefined);
  const merges: { readonly left: number; readonly right: number; readonly id: number }[] = [];
  tokens.forEach((token, id) => {
    if (kinds[id] !== kind.normal || token.length > longestPiece) return;
    for (let at = 1; at < token.length; at++) {
      const left = ids.get(token.slice(0, at));
      const right = ids.get(token.slice(at));
      if (usable(left) && usable(right)) merges.push({ left: left!, right: right!, id });
    }
  });
  merges.sort((a, b) => scores[b.id]! - scores[a.id]! || a.id - b.id || a.left - b.left || a.right - b.right);
  return merges.map(({ left, right }) => [tokens[left]!, tokens[right]!]);
}

/** What goes around a text, as the file says; `begins`: whether the bos token is there where the file is silent. */
function postProcessor(
  metadata: Metadata,
  begins: boolean,
  { bos_token: bos, eos_token: eos }: Record<string, string>,
  ids: ReadonlyMap<string, number>,
) {
  const wants = (key: string, missing: boolean) => (metadata.get(`tokenizer.ggml.${key}`) ?? missing) === true;
  const first = wants("add_bos_token", begins) && bos !== undefined ? [bos] : [];
  const last = wants("add_eos_token", false) && eos !== undefined ? [eos] : [];
  if (first.length + last.length === 0) return null;
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const text = { Sequence: { id: "A", type_id: 0 } };
  return {
    type: "TemplateProcessing",
    single: [...first.map(special), text, ...last.map(special)],
    pair: [],
    special_tokens: Object.fromEntries(
      [...first, ...last].map((token) => [token, { id: token, ids: [ids.get(token)], tokens: [token] }]),
    ),
  };
}
