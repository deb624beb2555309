/**
 * How a byte-level vocabulary cuts a text before it merges: the patterns, one after the other, of the tokenizer.json
 * that the name stands for.
 */
export interface PreTokenizer {
  readonly patterns: readonly string[];
  readonly normalizer?: { readonly type: "NFC" };
  /** A piece that is in the vocabulary is taken whole. */
  readonly ignoreMerges?: true;
  /** A text begins with the bos token, unless the file says otherwise. */
  readonly bos?: true;
}

const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const contractions = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const spaces = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
/** cl100k's rule, with up to `digits` digits a piece. */
const words = (digits: string) =>
  `(?:${contractions})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${spaces}`;
const upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
/** o200k's rule: words end where their case changes. */
const cased = (ending: string, digits: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${ending}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${ending}|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${spaces}`;

const digitByDigit: PreTokenizer = { patterns: ["\\p{N}", gpt2] };
const cl100k: PreTokenizer = { patterns: [words("{1,3}")] };
const llama3: PreTokenizer = { ...cl100k, ignoreMerges: true, bos: true };
const qwen2: PreTokenizer = { patterns: [words("")], normalizer: { type: "NFC" } };

/** By the name in tokenizer.ggml.pre (llama-vocab.cpp in llama.cpp lists them). */
export const preTokenizers: Readonly<Record<string, PreTokenizer>> = {
  "gpt-2": { patterns: [gpt2] },
  default: { patterns: [gpt2] },
  smollm: digitByDigit,
  starcoder: digitByDigit,
  refact: digitByDigit,
  "command-r": digitByDigit,
  "llama-bpe": llama3,
  llama3,
  "llama-v3": llama3,
  falcon3: llama3,
  dbrx: cl100k,
  "smaug-bpe": cl100k,
  qwen2,
  "deepseek-r1-qwen": qwen2,
  tekken: { patterns: [cased("", "")], ignoreMerges: true, bos: true },
  "gpt-4o": { patterns: [cased(`(?:${contractions})?`, "{1,3}")] },
};
