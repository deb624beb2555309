import { readFileSync } from "node:fs";
import { type Typed, tinyLlama, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { memoryFiles, openModel, type Tokenizer, TokenizerError } from "@ziggurat/runtime";
import { file } from "@ziggurat/runtime/node";
import { describe, expect, it } from "vitest";
import { models, testWith } from "../../../scripts/requirements.js";
import { chatOf } from "../src/text/chat.js";

interface Row {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
}
interface Fixture {
  readonly sentencePiece: {
    readonly tokens: string[];
    readonly scores: number[];
    readonly types: number[];
    readonly rows: Row[];
  };
  readonly smollm2: { readonly rows: Row[] };
}
// What the reference libraries make of hostile strings: see fixtures/gguf-tokenizers.py.
const { sentencePiece, smollm2 } = JSON.parse(
  readFileSync(new URL("fixtures/gguf-tokenizers.json", import.meta.url), "utf8"),
) as Fixture;

const llama = (vocabulary: number, metadata: Record<string, Typed>) =>
  writeGguf(
    {
      ...tinyLlama,
      ...metadata,
    },
    [{ name: "token_embd.weight", shape: [vocabulary, 32], type: 1, bytes: new Uint8Array(64 * vocabulary) }],
  );
const tokenizerOf = async (vocabulary: number, metadata: Record<string, Typed>): Promise<Tokenizer> =>
  (await (await openModel(memoryFiles({ "m.gguf": llama(vocabulary, metadata) }))).tokenizer())!;

const pieces: Record<string, Typed> = {
  "tokenizer.ggml.model": ["string", "llama"],
  "tokenizer.ggml.tokens": ["strings", sentencePiece.tokens],
  "tokenizer.ggml.scores": ["f32s", sentencePiece.scores],
  "tokenizer.ggml.token_type": ["i32s", sentencePiece.types],
  "tokenizer.ggml.bos_token_id": ["u32", 1],
  "tokenizer.ggml.eos_token_id": ["u32", 2],
};
const count = sentencePiece.tokens.length;

describe("tokenizers of GGUF files", () => {
  it("SentencePiece: has the reference's ids and texts", async () => {
    const tokenizer = await tokenizerOf(count, pieces);
    expect(sentencePiece.rows.length).toBeGreaterThan(300);
    for (const { text, ids, decoded } of sentencePiece.rows) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
    }
  });

  it("SentencePiece: begins with the bos token unless the file says otherwise, and with no space where it says so", async () => {
    const [, , ...rest] = (await tokenizerOf(count, pieces)).encode("a", { addSpecialTokens: true });
    expect((await tokenizerOf(count, pieces)).encode("a", { addSpecialTokens: true })[0]).toBe(1);
    expect(rest.length).toBeLessThan(3);
    const without = await tokenizerOf(count, {
      ...pieces,
      "tokenizer.ggml.add_bos_token": ["bool", 0],
      "tokenizer.ggml.add_space_prefix": ["bool", 0],
    });
    expect(without.encode("a", { addSpecialTokens: true })).toEqual([sentencePiece.tokens.indexOf("a")]);
    expect(without.decode(without.encode(" a"))).toBe(" a");
  });

  it("special tokens come from templates alone", async () => {
    const tokenizer = await tokenizerOf(count, pieces);
    expect(tokenizer.encode("</s>", { special: true }).at(-1)).toBe(2);
    expect(tokenizer.encode("</s>")).not.toContain(2);
    expect(tokenizer.named).toMatchObject({ bos_token: "<s>", eos_token: "</s>" });
  });

  it.each<[string, Record<string, Typed>, RegExp]>([
    [
      "an unknown model",
      { "tokenizer.ggml.model": ["string", "rwkv"] },
      /tokenizer\.ggml\.model is "rwkv"; supported: gpt2, llama/,
    ],
    [
      "a pre-tokenizer that is not known",
      { "tokenizer.ggml.model": ["string", "gpt2"], "tokenizer.ggml.pre": ["string", "poro"] },
      /tokenizer\.ggml\.pre is "poro"; supported: gpt-2/,
    ],
    [
      "no merges",
      { "tokenizer.ggml.model": ["string", "gpt2"] },
      /tokenizer\.ggml\.merges is undefined; it must be a list of strings/,
    ],
    ["too few scores", { "tokenizer.ggml.scores": ["f32s", [1]] }, /has 600 tokens and 1 scores/],
  ])("refuses %s", async (_, change, message) => {
    const tokenizer = tokenizerOf(count, { ...pieces, ...change });
    await expect(tokenizer).rejects.toThrow(message);
    await expect(tokenizer).rejects.toThrow(TokenizerError);
  });

  const tokens = ["a", "b", "a", "<|im_end|>", "<end_of_turn>", "</s>", "ab", "c"];
  const bytePairs: Record<string, Typed> = {
    "tokenizer.ggml.model": ["string", "gpt2"],
    "tokenizer.ggml.tokens": ["strings", tokens],
    "tokenizer.ggml.token_type": ["i32s", [1, 1, 1, 3, 4, 3, 1, 1]],
    "tokenizer.ggml.merges": ["strings", ["a b", "b c"]],
    "tokenizer.ggml.eos_token_id": ["u32", 5],
  };
  it("a token twice is written by its first id and read by both", async () => {
    const tokenizer = await tokenizerOf(tokens.length, bytePairs);
    expect(tokenizer.encode("aca")).toEqual([0, 7, 0]);
    expect(tokenizer.decode([0, 2])).toBe("aa");
  });
  it("a merge whose outcome is no token is passed over", async () => {
    expect((await tokenizerOf(tokens.length, bytePairs)).encode("abc")).toEqual([6, 7]);
  });
  it("ends of turns are known by name, whatever kind of token the file calls them", async () => {
    const tokenizer = await tokenizerOf(tokens.length, bytePairs);
    expect([...tokenizer.endTokens].sort()).toEqual([3, 4, 5]);
    expect(tokenizer.isSpecial(4)).toBe(true);
  });
  const fileOf = (metadata: Record<string, Typed>) => memoryFiles({ "m.gguf": llama(tokens.length, metadata) });
  it("an end token outside of the vocabulary is none", async () => {
    const model = await openModel(fileOf({ ...bytePairs, "tokenizer.ggml.eos_token_id": ["u32", 99] }));
    expect(model.facts.endTokens).toEqual([]);
    expect((await openModel(fileOf(bytePairs))).facts.endTokens).toEqual([5]);
  });
  it("templates have names, and one that is only for tools is not taken for another", async () => {
    const tokenizer = await tokenizerOf(tokens.length, {
      ...bytePairs,
      "tokenizer.chat_template.tool_use": ["string", "t"],
    });
    expect(tokenizer.chatTemplates).toEqual({ tool_use: "t" });
    expect(() => chatOf(tokenizer).prompt([{ role: "user", content: "a" }])).toThrow(
      /named tool_use; one must be named default/,
    );
  });

  testWith(models, "SmolLM2: has the reference's ids for hostile strings, and its texts", async (folder) => {
    const { tokenizer: load } = await openModel(file(`${folder}/smollm2-135m-instruct-q4_1.gguf`));
    const tokenizer = (await load())!;
    expect(smollm2.rows.length).toBeGreaterThan(300);
    for (const { text, ids, decoded } of smollm2.rows) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded);
    }
  });
});
