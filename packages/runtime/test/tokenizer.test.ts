import { readFileSync } from "node:fs";
import { memoryFiles, type Tokenizer, TokenizerError } from "@ziggurat/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer, makeTokenizer } from "../src/text/tokenizer.js";
import { random } from "./random.js";

const pebble = (file: string) => readFileSync(new URL(`../../pebble/files/${file}`, import.meta.url), "utf8");
const fixture = JSON.parse(readFileSync(new URL("./fixtures/tokenizer.json", import.meta.url), "utf8")) as {
  rows: { text: string; plain: number[]; special: number[] }[];
  decoded: { ids: number[]; text: string; skipped: string }[];
};
const files = { "tokenizer.json": pebble("tokenizer.json"), "tokenizer_config.json": pebble("tokenizer_config.json") };
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = (await loadTokenizer(memoryFiles(files)))!;
});

describe("Pebble's tokenizer, against transformers", () => {
  it("gives the same ids for every text, special tokens in it staying text", () => {
    for (const { text, plain } of fixture.rows) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(plain);
    expect(fixture.rows.length).toBeGreaterThan(300);
  });
  it("gives the same ids where special tokens in the text are meant", () => {
    for (const { text, special } of fixture.rows)
      expect(tokenizer.encode(text, { special: true }), JSON.stringify(text)).toEqual(special);
  });
  it("never makes a special token of plain text", () => {
    for (const { text } of fixture.rows)
      expect(tokenizer.encode(text).some(tokenizer.isSpecial), JSON.stringify(text)).toBe(false);
    expect(fixture.rows.filter(({ special }) => special.some(tokenizer.isSpecial)).length).toBeGreaterThan(50);
  });
  it("decodes any ids to the same text, whole and streamed", () => {
    for (const { ids, text, skipped } of fixture.decoded) {
      expect(tokenizer.decode(ids)).toBe(text);
      expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(skipped);
    }
  });
  it("gives back what it was given", () => {
    for (const { text, plain, special } of fixture.rows) {
      expect(tokenizer.decode(plain), JSON.stringify(text)).toBe(text);
      expect(tokenizer.decode(special), JSON.stringify(text)).toBe(text);
    }
  });
});

describe("stream", () => {
  it("never gives a part of a character", () => {
    for (const { text, plain } of fixture.rows) {
      const stream = tokenizer.stream();
      const parts = plain.map((id) => stream.push(id));
      if (!text.includes("\ufffd")) expect(parts.join("")).not.toContain("\ufffd");
      for (const part of parts) expect(part).not.toMatch(/[\ud800-\udfff]/u);
      expect(parts.join("") + stream.end()).toBe(text);
    }
  });
  it("gives U+FFFD for what stays incomplete, and starts anew", () => {
    const ids = tokenizer.encode("😀");
    expect(ids.length).toBe(4);
    const stream = tokenizer.stream();
    expect(ids.slice(0, 3).map((id) => stream.push(id))).toEqual(["", "", ""]);
    expect(stream.end()).toBe("\ufffd");
    expect(stream.push(tokenizer.idOf("a")!)).toBe("a");
  });
});

describe("a tokenizer", () => {
  it("knows its vocabulary and its special tokens", () => {
    expect(tokenizer.vocabularySize).toBe(4096);
    expect(tokenizer.idOf("<|end|>")).toBe(6);
    expect(tokenizer.idOf("no such token")).toBeUndefined();
    expect(tokenizer.isSpecial(6)).toBe(true);
    expect(tokenizer.isSpecial(7)).toBe(false);
    expect(tokenizer.named).toEqual({ bos_token: "<|bos|>", eos_token: "<|end|>", pad_token: "<|pad|>" });
    expect(tokenizer.chatTemplate).toContain("<|user|>");
  });
  it.each([4096, -1, 0.5, Number.NaN])("refuses the id %d", (id) => {
    expect(() => tokenizer.decode([id])).toThrow(/is no token id; ids go from 0 to 4095/);
  });
  it("takes text of any kind, lone surrogates and a megabyte without spaces among it", () => {
    expect(tokenizer.decode(tokenizer.encode("a\ud800b"))).toBe("a\ufffdb");
    const long = "abcdefghij".repeat(20_000);
    expect(tokenizer.decode(tokenizer.encode(long))).toBe(long);
    expect(() => tokenizer.encode(3 as unknown as string)).toThrow(TokenizerError);
  });
  it("takes the chat template from its own file, or by the name default", async () => {
    const own = await loadTokenizer(memoryFiles({ ...files, "chat_template.jinja": "own" }));
    expect(own!.chatTemplate).toBe("own");
    const json = JSON.parse(files["tokenizer.json"]);
    const several = makeTokenizer(json, {
      chat_template: [
        { name: "tools", template: "a" },
        { name: "default", template: "b" },
      ],
    });
    expect(several.chatTemplate).toBe("b");
    expect(makeTokenizer(json).chatTemplate).toBeUndefined();
    expect(await loadTokenizer(memoryFiles({}))).toBeUndefined();
  });
  it("adds what the post-processor adds, when asked", () => {
    const json = JSON.parse(files["tokenizer.json"]);
    json.post_processor = {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<|bos|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { "<|bos|>": { id: "<|bos|>", ids: [1], tokens: ["<|bos|>"] } },
    };
    const wrapped = makeTokenizer(json);
    const plain = tokenizer.encode("hello <|bos|>");
    expect(wrapped.encode("hello <|bos|>")).toEqual(plain);
    expect(wrapped.encode("hello <|bos|>", { addSpecialTokens: true })).toEqual([1, ...plain]);
    expect(wrapped.encode("", { addSpecialTokens: true })).toEqual([1]);
  });
  it("streams other kinds of vocabulary too", () => {
    const bytes = Object.fromEntries(
      Array.from({ length: 256 }, (_, i) => [`<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`, i + 3]),
    );
    const vocab = { "<unk>": 0, "<s>": 1, "</s>": 2, ...bytes, "▁": 259, a: 260, b: 261, "▁a": 262 };
    const sentencepiece = makeTokenizer({
      added_tokens: [0, 1, 2].map((id) => ({ id, content: ["<unk>", "<s>", "</s>"][id], special: true })),
      normalizer: {
        type: "Sequence",
        normalizers: [
          { type: "Prepend", prepend: "▁" },
          { type: "Replace", pattern: { String: " " }, content: "▁" },
        ],
      },
      pre_tokenizer: null,
      post_processor: null,
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
      model: { type: "BPE", unk_token: "<unk>", byte_fallback: true, vocab, merges: ["▁ a"] },
    });
    const text = "a b 😀 a";
    const ids = sentencepiece.encode(text);
    expect(ids.slice(0, 3)).toEqual([262, 259, 261]);
    const stream = sentencepiece.stream();
    const parts = ids.map((id) => stream.push(id));
    expect(parts.join("") + stream.end()).toBe(text);
    expect(parts.join("")).not.toContain("\ufffd");
    expect(sentencepiece.encode("</s>")).not.toContain(2);
    expect(sentencepiece.encode("</s>", { special: true })).toContain(2);
    expect(sentencepiece.decode([2, 262], { skipSpecial: true })).toBe("a");
    expect(sentencepiece.decode([262, 2])).toBe("a</s>");
  });
});

describe("malformed files", () => {
  const base = () => JSON.parse(files["tokenizer.json"]);
  it.each([
    ["not an object", () => 3, /must be an object with a model/],
    ["no model", () => ({}), /must be an object with a model/],
    ["no vocabulary", () => ({ ...base(), model: { type: "BPE" } }), /model\.vocab is undefined/],
    [
      "empty vocabulary",
      () => ({ ...base(), added_tokens: [], model: { type: "BPE", vocab: {}, merges: [] } }),
      /model\.vocab is empty/,
    ],
    [
      "an id twice",
      () => ({ ...base(), model: { type: "BPE", vocab: { a: 1, b: 1 }, merges: [] } }),
      /has the id 1 twice, for "a" and "b"/,
    ],
    [
      "an id that is no number",
      () => ({ ...base(), model: { type: "BPE", vocab: { a: "1" }, merges: [] } }),
      /the id "1" for "a"/,
    ],
    ["an absurd id", () => ({ ...base(), model: { type: "BPE", vocab: { a: 4e9 }, merges: [] } }), /the id 4000000000/],
    ["merges that are no list", () => ({ ...base(), model: { ...base().model, merges: 4 } }), /model\.merges is 4/],
    [
      "merges of numbers",
      () => ({ ...base(), model: { ...base().model, merges: [4] } }),
      /model\.merges\[0\] is 4; it must be a pair/,
    ],
    [
      "an unknown model",
      () => ({ ...base(), model: { ...base().model, type: "Magic" } }),
      /model\.type is "Magic"; supported are BPE, Unigram, WordPiece, WordLevel/,
    ],
    [
      "an unknown pre-tokenizer",
      () => ({ ...base(), pre_tokenizer: { type: "Magic" } }),
      /pre_tokenizer has the type "Magic"; supported are /,
    ],
    [
      "a broken pattern",
      () => ({ ...base(), pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" } }),
      /pre_tokenizer has the pattern "\(", which is not supported: a group is not closed at 1/,
    ],
    [
      "an added token without content",
      () => ({ ...base(), added_tokens: [{ id: 1 }] }),
      /added_tokens\[0\] is \{"id":1\}/,
    ],
    ["added tokens that are no list", () => ({ ...base(), added_tokens: { a: 1 } }), /added_tokens is/],
    ["nesting without end", () => ({ ...base(), pre_tokenizer: nest(20_000) }), /nested more than 32 deep/],
  ])("%s", (_, make, message) => {
    expect(() => makeTokenizer(make())).toThrow(message);
    expect(() => makeTokenizer(make())).toThrow(TokenizerError);
  });
  const nest = (depth: number) => {
    let value: object = { type: "Digits" };
    for (let i = 0; i < depth; i++) value = { type: "Sequence", pretokenizers: [value] };
    return value;
  };
  it("a template that is no text", () => {
    expect(() => makeTokenizer(base(), { chat_template: 4 })).toThrow(/chat_template is 4/);
    expect(() => makeTokenizer(base(), [])).toThrow(/tokenizer_config\.json: is \[\]/);
  });
  it("ends in a typed error, or encodes, whatever is changed", () => {
    const seed = 3;
    const next = random(seed);
    const small = {
      added_tokens: [{ id: 0, content: "<s>", special: true }],
      normalizer: { type: "Lowercase" },
      pre_tokenizer: base().pre_tokenizer,
      post_processor: null,
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab: { "<s>": 0, a: 1, b: 2, ab: 3, Ġ: 4 }, merges: ["a b"] },
    };
    const text = JSON.stringify(small);
    const wrong = ["null", "3", '"x"', "[]", "{}", "true", "-1", '"\\u0000"'];
    let refused = 0;
    for (let i = 0; i < 1500; i++) {
      const places = [...text.matchAll(/"[^"]*"|\d+|true|false|null/g)];
      const place = places[Math.floor(next() * places.length)]!;
      const changed =
        text.slice(0, place.index) +
        wrong[Math.floor(next() * wrong.length)] +
        text.slice(place.index + place[0].length);
      let json: unknown;
      try {
        json = JSON.parse(changed);
      } catch {
        continue;
      }
      try {
        makeTokenizer(json).encode("ab <s> ba");
      } catch (error) {
        expect(error, `seed ${seed}, input ${i}: ${changed}`).toBeInstanceOf(TokenizerError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(300);
  });
});
