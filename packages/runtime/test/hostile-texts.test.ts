import { TemplateError, TokenizerError } from "@ziggurat/runtime";
import { describe, expect, it } from "vitest";
import { compileTemplate } from "../src/text/template.js";
import { makeTokenizer } from "../src/text/tokenizer.js";

// Tokenizers and chat templates that are small and ask for work or memory without end.

const model = { type: "BPE", vocab: { a: 0, b: 1 }, merges: [], unk_token: "a" };
const times = (count: number, part: object) => Array.from({ length: count }, () => part);
const replace = (from: string, to: string) => ({ type: "Replace", pattern: { String: from }, content: to });

describe("a tokenizer", () => {
  it.each([
    ["normalizers that double", { normalizer: { type: "Sequence", normalizers: times(40, { type: "ByteLevel" }) } }],
    ["normalizers that replace", { normalizer: { type: "Sequence", normalizers: times(9, replace("é", "éé")) } }],
    ["a long replacement", { normalizer: replace("é", "é".repeat(2000)) }],
    [
      "sequences within sequences",
      {
        normalizer: {
          type: "Sequence",
          normalizers: times(9, { type: "Sequence", normalizers: times(9, { type: "ByteLevel" }) }),
        },
      },
    ],
    [
      "pre-tokenizers that double",
      { pre_tokenizer: { type: "Sequence", pretokenizers: times(40, { type: "ByteLevel", use_regex: false }) } },
    ],
  ])("with %s is refused when it makes too much of a text", (_, parts) => {
    const tokenizer = makeTokenizer({ model, ...parts });
    expect(() => tokenizer.encode("é")).toThrow(TokenizerError);
    expect(() => tokenizer.encode("é")).toThrow(/parts make a text longer than 320 characters/);
  });

  it("with decoders that double is refused when it makes too much of a token", () => {
    const tokenizer = makeTokenizer({ model, decoder: { type: "Sequence", decoders: times(40, replace("a", "aa")) } });
    expect(() => tokenizer.decode([0])).toThrow(TokenizerError);
  });

  it("may grow texts as compatibility forms do", () => {
    const normalizer = { type: "Sequence", normalizers: [{ type: "NFKC" }, { type: "ByteLevel" }] };
    expect(makeTokenizer({ model, normalizer }).encode("ﷺ".repeat(1000))).toHaveLength(33_000);
  });

  it.each(["", "▁▁"])("with the mark %j for a space is refused", (replacement) => {
    const part = { type: "Metaspace", replacement };
    expect(() => makeTokenizer({ model, pre_tokenizer: part })).toThrow(/replacement is .* must be one character/);
    expect(() => makeTokenizer({ model, decoder: part })).toThrow(/replacement is .* must be one character/);
  });

  it("may have more added tokens, and frame ids, than a call has arguments", () => {
    const added_tokens = Array.from({ length: 300_000 }, (_, i) => ({ id: i + 2, content: `<${i}>`, special: true }));
    const ids = Array.from({ length: 300_000 }, () => 1);
    const post_processor = {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "s" } }, { Sequence: { id: "A" } }, { SpecialToken: { id: "s" } }],
      special_tokens: { s: { ids } },
    };
    const tokenizer = makeTokenizer({ model, added_tokens, post_processor });
    expect(tokenizer.vocabularySize).toBe(300_002);
    expect(tokenizer.encode("a", { addSpecialTokens: true })).toHaveLength(600_001);
  });

  it("may have a token that is longer than a call has arguments", () => {
    const long = "a".repeat(300_000);
    const decoder = { type: "Sequence", decoders: [{ type: "ByteLevel" }] };
    expect(makeTokenizer({ model: { ...model, vocab: { [long]: 0 } }, decoder }).decode([0])).toBe(long);
  });

  it("with a special token of a megabyte is refused", () => {
    const added_tokens = [{ id: 2, content: "<".repeat(1e6), special: true }];
    expect(() => makeTokenizer({ model, added_tokens })).toThrow(
      /has 1000000 characters; a special token may have 256/,
    );
  });
});

describe("a word without end", () => {
  const text = "a".repeat(20_000);
  const long = "a".repeat(30_000);

  it.each([
    [
      "WordPiece",
      { type: "WordPiece", vocab: { a: 0, "##a": 1, [long]: 2 }, unk_token: "a", max_input_chars_per_word: 1e9 },
    ],
    [
      "Unigram",
      {
        type: "Unigram",
        vocab: [
          ["?", -9],
          ["a", -1],
          [long, -1],
        ],
        unk_id: 0,
      },
    ],
  ])("is encoded by %s in slices, and the signal is heard", async (_, longModel) => {
    const tokenizer = makeTokenizer({ model: longModel });
    expect(await tokenizer.encodeAsync(text.slice(0, 2000))).toHaveLength(2000);
    const controller = new AbortController();
    const encoding = tokenizer.encodeAsync(text.repeat(4), { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    const before = performance.now();
    await expect(encoding).rejects.toThrow(/aborted/);
    expect(performance.now() - before).toBeLessThan(1000);
  });
});

const big = "{% set r = range(10000)|list %}{% set b = r+r+r+r+r+r+r+r+r %}";
const again = (body: string) => `${big}{% for i in r %}{% set x = ${body} %}{% endfor %}`;

describe("a chat template", () => {
  it.each([
    ["searches a list", again("b.count(-1)")],
    ["searches a list within a filter", again("[-1, -2]|select('in', b)|list")],
    ["looks for pairs", `${big}{% set x = b|map('string')|unique|list %}`],
    ["joins by a long text", "{{ range(250)|join('x' * 1900000)|length }}"],
    ["indents by a long text", "{{ range(250)|list|tojson(indent='x' * 1900000)|length }}"],
    ["replaces many texts", "{{ (['a' * 200] * 20)|map('replace', 'a', 'x' * 1900000)|list|length }}"],
    ["writes titles", "{% set x = 'a ' * 100000 %}{% for i in range(1000) %}{{ (x|title)[:0] }}{% endfor %}"],
  ])("that %s without end is refused soon", (_, source) => {
    const before = performance.now();
    expect(() => compileTemplate(source).render({ messages: [] })).toThrow(TemplateError);
    expect(performance.now() - before).toBeLessThan(5000);
  });

  it.each([
    ["{{ 'aba'|replace('a', 'xx') }}", "xxbxx"],
    ["{{ 'aba'.replace('', '-') }}", "-a-b-a-"],
    ["{{ 'aba'.replace('a', 'y', 1) }}", "yba"],
    ["{{ ''.replace('', 'x') }}", "x"],
    ["{{ '&'.join(['a', 'b']) }}", "a&b"],
    ["{{ 'a.b c'|title }}", "A.b C"],
  ])("%s is %j", (source, text) => expect(compileTemplate(source).render({})).toBe(text));
});
