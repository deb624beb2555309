import { isRecord } from "../files/files.js";

// Where parts of @huggingface/tokenizers 0.2 do otherwise than those of the reference library (huggingface/tokenizers,
// Rust), the same meaning is written in parts that do not. `test/small-tokenizers.test.ts` holds the two together. What
// still differs: Precompiled charsmaps are taken as NFKC with some exceptions, "first" of a Metaspace that follows
// another pre-tokenizer, and splits that merge delimiters with a neighbour.

/** GPT-2's splitting rule, as the reference library's ByteLevel pre-tokenizer applies it. */
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const split = (Regex: string, behavior: "Isolated" | "Removed") => ({
  type: "Split",
  pattern: { Regex },
  behavior,
  invert: false,
});

/**
 * Patterns of the library's own take JavaScript's idea of digits and white space; those of a Split pass through its
 * translation of the reference's regular expressions.
 */
export function preTokenizerLikeReference(value: unknown): unknown {
  if (!isRecord(value)) return value;
  if (Array.isArray(value.pretokenizers))
    return { ...value, pretokenizers: value.pretokenizers.map(preTokenizerLikeReference) };
  if (value.type === "Digits") return split(value.individual_digits === true ? "\\p{N}" : "\\p{N}+", "Isolated");
  if (value.type === "WhitespaceSplit") return split("\\s+", "Removed");
  if (value.type === "ByteLevel" && value.use_regex !== false) {
    // A Metaspace whose mark is a space adds one at the start, and nothing else.
    const prefix =
      value.add_prefix_space === true ? [{ type: "Metaspace", replacement: " ", prepend_scheme: "always" }] : [];
    const bytes = { ...value, use_regex: false, add_prefix_space: false };
    return { type: "Sequence", pretokenizers: [...prefix, split(gpt2, "Isolated"), bytes] };
  }
  return value;
}

/** CJK ideographs beyond the first 65,536 characters, which the library's BertNormalizer overlooks. */
const ideographs = "[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]";

export function normalizerLikeReference(value: unknown): unknown {
  if (!isRecord(value)) return value;
  if (Array.isArray(value.normalizers))
    return { ...value, normalizers: value.normalizers.map(normalizerLikeReference) };
  // The content is a text, not JavaScript's pattern for one.
  if (value.type === "Replace" && typeof value.content === "string")
    return { ...value, content: value.content.replaceAll("$", "$$$$") };
  if (value.type === "BertNormalizer" && value.handle_chinese_chars === true) {
    return {
      type: "Sequence",
      normalizers: [{ type: "Replace", pattern: { Regex: ideographs }, content: " $& " }, value],
    };
  }
  return value;
}
