import { Tokenizer as Library } from "@huggingface/tokenizers";
import { TokenizerError } from "@ziggurat/runtime";
import { expect, it } from "vitest";
import { makeTokenizer } from "../src/text/tokenizer.js";
import { random } from "./random.js";

// Signs that JSON writes otherwise, and those that stand around tokens in it.
const signs = [",", '"', "\\", "[", "]", "x", "é", "\u0001"];
const merges = signs
  .flatMap((left) => signs.map((right) => [left, right] as const))
  .filter((_, index) => index % 3 !== 1);
const longer = merges.filter((_, index) => index % 4 === 0).map(([left, right]) => [left + right, left] as const);
const all = [...merges, ...longer];
const tokens = [...signs, ...new Set(all.map(([left, right]) => left + right))];
const json = (written: unknown) => ({
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  added_tokens: [],
  model: {
    type: "BPE",
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: written,
    unk_token: null,
  },
});

it("merges as the library does by itself, merges written as strings or as pairs", () => {
  const library = new Library(json(all), {});
  const strings = makeTokenizer(json(all.map((pair) => pair.join(" "))));
  const pairs = makeTokenizer(json(all));
  const next = random(3);
  for (let round = 0; round < 300; round++) {
    const text = Array.from(
      { length: 1 + Math.floor(next() * 12) },
      () => signs[Math.floor(next() * signs.length)],
    ).join("");
    const expected = library.encode(text).ids;
    expect(strings.encode(text), JSON.stringify(text)).toEqual(expected);
    expect(pairs.encode(text), JSON.stringify(text)).toEqual(expected);
  }
});

it.each([[[7]], [["x ,", null]], [[["x", ","], "x ,"]], [undefined]])("refuses the merges %j", (written) => {
  expect(() => makeTokenizer(json(written))).toThrow(TokenizerError);
});
