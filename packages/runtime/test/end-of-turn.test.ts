import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { chatOf } from "../src/text/chat.js";
import { endTokensOf, stopIdsOf } from "../src/text/end-of-turn.js";
import { makeTokenizer } from "../src/text/tokenizer.js";

const tokens = [
  "<s>",
  "</s>",
  "<|endoftext|>",
  "<|im_end|>",
  "<|end|>",
  "<|eot_id|>",
  "<end_of_turn>",
  "[INST]",
  "<|end_of_text|>",
  "a",
];
const json = {
  model: { type: "WordLevel", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), unk_token: "a" },
  added_tokens: tokens.slice(0, -1).map((content, id) => ({ id, content, special: true, normalized: false })),
};
const template = (name: string) =>
  readFileSync(new URL(`fixtures/chat-templates/${name}.jinja`, import.meta.url), "utf8");

describe("an answer ends", () => {
  it.each([
    ["chatml", "<|im_end|>"],
    ["qwen3", "<|im_end|>"],
    ["phi3", "<|end|>"],
    ["phi4-mini", "<|end|>"],
    ["llama3", "<|eot_id|>"],
    ["gemma2", "<end_of_turn>"],
    ["granite", "<|end_of_text|>"],
    ["mistral-v3", "</s>"],
    ["llama2", "</s>"],
    ["vicuna", "</s>"],
  ])("where %s's template writes %s", (name, end) => {
    const config = { bos_token: "<s>", eos_token: "</s>", chat_template: template(name) };
    const tokenizer = makeTokenizer(json, config);
    const ends = endTokensOf([2], 100, tokenizer, chatOf(tokenizer));
    expect(ends.map((id) => tokens[id]).sort()).toEqual([...new Set(["<|endoftext|>", "</s>", end])].sort());
  });
  it("at tokenizer_config's eos token, and at none beyond the embedding", () => {
    const tokenizer = makeTokenizer(json, { eos_token: "<|end|>" });
    expect(endTokensOf([], 100, tokenizer, undefined)).toEqual([4]);
    expect(endTokensOf([50, 2], 4, tokenizer, undefined)).toEqual([2]);
    expect(endTokensOf([1], 100, undefined, undefined)).toEqual([1]);
  });
  it("nowhere else if the template cannot be used", () => {
    for (const chat_template of ["{% if %}", "{{ raise_exception('no') }}", "nothing of what is said"]) {
      const tokenizer = makeTokenizer(json, { chat_template });
      expect(endTokensOf([1], 100, tokenizer, chatOf(tokenizer))).toEqual([1]);
    }
  });
});

it("a stop text is a token only if it is a special one of the model", () => {
  const tokenizer = makeTokenizer(json);
  expect(stopIdsOf(tokenizer, ["<|end|>", "a", "x", "</s>"], 4)).toEqual([1]);
  expect(stopIdsOf(undefined, ["a"], 4)).toEqual([]);
});
