import { pebble } from "@ziggurat/pebble";
import { chatOf, loadTokenizer, type ModelFiles, openWeights } from "@ziggurat/runtime";
import { expect, it } from "vitest";
import { loadConfig } from "../src/config.js";

it("reads Pebble, whose files agree with each other", async () => {
  const files: ModelFiles = pebble();
  const { config, generation } = await loadConfig(files);
  const tokenizer = (await loadTokenizer(files))!;
  const weights = await openWeights(files);
  expect(tokenizer.vocabularySize).toBe(config.vocabularySize);
  expect(generation.stopIds).toEqual([tokenizer.idOf("<|end|>"), tokenizer.idOf("<|eos|>")]);
  expect(weights.tensor("model.embed_tokens.weight").shape).toEqual([config.vocabularySize, config.hiddenSize]);
  expect(weights.names.length).toBe(2 + 9 * config.layers);
  expect(tokenizer.decode(chatOf(tokenizer).prompt([{ role: "user", content: "a" }]))).toBe("<|bos|><|user|>\na<|end|>\n<|assistant|>\n");
});
