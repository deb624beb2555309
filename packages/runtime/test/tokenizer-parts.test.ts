import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { TokenizerError } from "@ziggurat/runtime";
import { describe, expect, it } from "vitest";
import { makeTokenizer } from "../src/text/tokenizer.js";

// Every part that tokenizer.json can hold, with every option, against the reference library:
// fixtures/tokenizer-parts.py made the words, and says what they stand for.

interface Fixture {
  readonly texts: readonly string[];
  readonly alphabet: string;
  readonly spelt: readonly string[];
  readonly lists: readonly (readonly number[])[];
  readonly cases: Readonly<
    Record<string, { readonly parts: Readonly<Record<string, unknown>>; readonly words: string }>
  >;
}
const { texts, alphabet, spelt, lists, cases } = JSON.parse(
  readFileSync(new URL("fixtures/tokenizer-parts.json", import.meta.url), "utf8"),
) as Fixture;

/** A model that tells the first character of a piece from the others, so that ids show where a text was split. */
const pieces = ["<unk>", "<s>", "</s>", ...alphabet, ...[...alphabet].map((character) => `@@${character}`)];
const byPiece = {
  type: "BPE",
  vocab: Object.fromEntries(pieces.map((token, id) => [token, id])),
  merges: [],
  continuing_subword_prefix: "@@",
  unk_token: "<unk>",
};
const byToken = {
  type: "WordLevel",
  vocab: Object.fromEntries(spelt.map((token, id) => [token, id])),
  unk_token: "<s>",
};
const word = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 8);

/** Whether bytes in a row are UTF-8. Those that are not become U+FFFD as soon as they come, not all of the row. */
const isUtf8 = (list: readonly number[]): boolean => {
  const rows =
    list
      .map((id) => /^<0x(..)>$/.exec(spelt[id]!)?.[1] ?? " ")
      .join("")
      .match(/\w+/g) ?? [];
  return rows.every(
    (row) =>
      Buffer.from(row, "hex").toString("hex") === Buffer.from(Buffer.from(row, "hex").toString()).toString("hex"),
  );
};

/** Wrong words with what was made instead. */
function compare(parts: Readonly<Record<string, unknown>>, words: string): string[] {
  const decodes = "decoder" in parts;
  return words.split(" ").flatMap((wanted, index) => {
    if (wanted === "panic") return [];
    if (decodes && JSON.stringify(parts).includes("ByteFallback") && !isUtf8(lists[index]!)) return [];
    let made: string;
    let got: string;
    try {
      const tokenizer = makeTokenizer({ model: decodes ? byToken : byPiece, ...parts });
      made = decodes
        ? tokenizer.decode(lists[index]!)
        : tokenizer.encode(texts[index]!, { special: true, addSpecialTokens: "post_processor" in parts }).join();
      got = word(made);
    } catch (error) {
      if (!(error instanceof TokenizerError)) throw error;
      made = error.message;
      got = "refused";
    }
    return got === wanted ? [] : [`${index}, ${JSON.stringify(decodes ? lists[index] : texts[index])}: ${made}`];
  });
}

const kinds = [...new Set(Object.keys(cases).map((name) => name.split(" ").slice(0, 2).join(" ")))];
describe.each(kinds)("%s", (kind) => {
  const own = Object.entries(cases).filter(([name]) => `${name} `.startsWith(`${kind} `));
  it.each(own)("%s", (_, { parts, words }) => expect(compare(parts, words)).toEqual([]));
});

it.each([
  [{ normalizer: { type: "Magic" } }, /normalizer has the type "Magic"; supported are Sequence, BertNormalizer/],
  [{ pre_tokenizer: { type: "UnicodeScripts" } }, /pre_tokenizer has the type "UnicodeScripts"; supported are/],
  [{ post_processor: { type: "Magic" } }, /post_processor has the type "Magic"/],
  [{ decoder: { type: "Magic" } }, /decoder has the type "Magic"/],
  [{ model: { ...byPiece, dropout: 0.1 } }, /model\.dropout is 0\.1; it must be null/],
  [{ model: { ...byPiece, merges: [["a", "zz"]] } }, /merges\[0\] is \["a","zz"\]; the vocabulary has no "zz"/],
  [{ pre_tokenizer: { type: "Split", pattern: { Regex: "a" }, behavior: "Magic" } }, /behavior is "Magic"; it must be/],
  [{ pre_tokenizer: { type: "FixedLength", length: 0 } }, /length is 0; it must be a whole number from 1/],
  [{ normalizer: { type: "Replace", pattern: {}, content: "" } }, /has the pattern \{\}; it must be an object with/],
  [{ normalizer: { type: "Precompiled", precompiled_charsmap: "AAA" } }, /precompiled_charsmap has 2 bytes/],
])("refuses %j", (parts, message) => {
  expect(() => makeTokenizer({ model: byPiece, ...parts })).toThrow(message);
  expect(() => makeTokenizer({ model: byPiece, ...parts })).toThrow(TokenizerError);
});
