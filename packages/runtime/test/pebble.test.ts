import { pebble } from "@ziggurat/pebble";
import { type ModelFiles, openModel } from "@ziggurat/runtime";
import { openWeights } from "@ziggurat/runtime/formats";
import { expect, it } from "vitest";
import { chatOf } from "../src/text/chat.js";
import { loadTokenizer } from "../src/text/tokenizer.js";

it("reads Pebble, whose files agree with each other", async () => {
  const files: ModelFiles = pebble();
  const { facts } = await openModel(files);
  const tokenizer = (await loadTokenizer(files))!;
  const weights = await openWeights(files);
  expect(tokenizer.vocabularySize).toBe(facts.vocabularySize);
  expect(facts.endTokens).toEqual([tokenizer.idOf("<|end|>"), tokenizer.idOf("<|eos|>")]);
  expect(weights.tensor("model.embed_tokens.weight").shape).toEqual([facts.vocabularySize, facts.hiddenSize]);
  expect(weights.names.length).toBe(2 + 9 * facts.cache.layers.length);
  expect(tokenizer.decode(chatOf(tokenizer).prompt([{ role: "user", content: "a" }]))).toBe(
    "<|bos|><|user|>\na<|end|>\n<|assistant|>\n",
  );
});
