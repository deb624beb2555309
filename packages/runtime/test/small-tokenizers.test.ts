import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Typed, tinyLlama, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { memoryFiles, openModel, type Tokenizer } from "@ziggurat/runtime";
import { describe, expect, it } from "vitest";
import { makeTokenizer } from "../src/text/tokenizer.js";

// Small tokenizers of every kind, against the reference library: fixtures/small-tokenizers.py made them, and says what
// a word stands for.

interface Kept {
  readonly tokenizer: { readonly model: Record<string, unknown>; readonly [part: string]: unknown };
  readonly words: string;
}
interface Fixture {
  readonly more: readonly string[];
  /** Of all byte-level ones. */
  readonly shared: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (readonly [string, string])[];
  };
  readonly tokenizers: Readonly<Record<string, Kept>>;
}
const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), "utf8"));
const { more, shared, tokenizers } = read("small-tokenizers") as Fixture;
const texts = [
  ...new Set([...(read("tokenizer") as { rows: { text: string }[] }).rows.map(({ text }) => text), ...more]),
];

const meaning = (tokenizer: Tokenizer, text: string): string => {
  const plain = tokenizer.encode(text);
  return `${plain.join()}/${tokenizer.encode(text, { special: true }).join()}/${tokenizer.decode(plain)}`;
};
const word = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 8);

/** Punctuation since Unicode 14, which the tables of the reference's BertPreTokenizer precede. */
const newer = /[\u061d\u2e55]/;

function expectWords(tokenizer: Tokenizer, words: string, spared?: RegExp): void {
  const wanted = words.split(" ");
  expect(wanted.length).toBe(texts.length);
  const wrong = texts.filter((text, at) => !spared?.test(text) && word(meaning(tokenizer, text)) !== wanted[at]);
  expect(wrong.map((text) => `${JSON.stringify(text)}: ${meaning(tokenizer, text)}`)).toEqual([]);
}

describe.each(Object.entries(tokenizers))("%s", (name, { tokenizer: json, words }) => {
  const load = () => makeTokenizer("vocab" in json.model ? json : { ...json, model: { ...json.model, ...shared } });
  it("has the reference's ids and texts", () =>
    expectWords(load(), words, json.model.type === "WordPiece" ? newer : undefined));
  it("never makes a special token of plain text", () => {
    const tokenizer = load();
    expect(tokenizer.specialTokens.length).toBeGreaterThan(1);
    // An unknown token stands for what a vocabulary lacks, whatever that looks like.
    const unknown = tokenizer.idOf(String(json.model.unk_token ?? "<unk>"));
    for (const text of [...texts, ...tokenizer.specialTokens, "<S>", "[cls]", "[sep]"])
      expect(
        tokenizer.encode(text).filter((id) => id !== unknown && tokenizer.isSpecial(id)),
        JSON.stringify(text),
      ).toEqual([]);
  });
  if ("vocab" in json.model || name === "prefixSpace") return;
  it("has them too where a GGUF file names the rule", async () => {
    const tokens = Object.keys(shared.vocab).sort((a, b) => shared.vocab[a]! - shared.vocab[b]!);
    const metadata: Record<string, Typed> = {
      ...tinyLlama,
      "tokenizer.ggml.model": ["string", "gpt2"],
      "tokenizer.ggml.bos_token_id": ["u32", 0],
      "tokenizer.ggml.pre": ["string", name],
      "tokenizer.ggml.tokens": ["strings", tokens],
      "tokenizer.ggml.merges": ["strings", shared.merges.map((pair) => pair.join(" "))],
      "tokenizer.ggml.token_type": ["i32s", tokens.map((_, id) => (id < 2 ? 3 : 1))],
    };
    const embedding = {
      name: "token_embd.weight",
      shape: [tokens.length, 32],
      type: 1,
      bytes: new Uint8Array(64 * tokens.length),
    };
    const model = await openModel(memoryFiles({ "m.gguf": writeGguf(metadata, [embedding]) }));
    const tokenizer = (await model.tokenizer())!;
    expectWords(tokenizer, words);
    // Files of Llama 3 and Mistral say nothing of their first token, and mean it.
    expect(tokenizer.encode("a", { addSpecialTokens: true })[0] === 0).toBe(["llama-bpe", "tekken"].includes(name));
  });
});
