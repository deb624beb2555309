import { readFileSync } from "node:fs";
import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { chatOf, generate, loadModel, logProbabilities, type Model, openModel } from "@ziggurat/runtime";
import { file } from "@ziggurat/runtime/node";
import type { WeightDType } from "@ziggurat/tensor";
import { describe, expect } from "vitest";
import { models, testWith } from "../../../scripts/requirements.js";

// A real model against what transformers makes of the same file; reference.json beside it says how that was made.

interface Reference {
  readonly ids: number[];
  readonly nll: number[];
  readonly perplexity_2048: number;
  readonly top10: { readonly positions: number[]; readonly ids: number[][]; readonly logp: number[][] };
  readonly greedy: { readonly prompt: string; readonly prompt_ids: number[]; readonly ids: number[]; readonly margin: number[] }[];
}

const files = (folder: string) => file(`${folder}/smollm2-135m-instruct-q4_1.gguf`);
const reference = (folder: string) => JSON.parse(readFileSync(`${folder}/reference.json`, "utf8")) as Reference;

async function withModel(folder: string, weights: WeightDType | undefined, work: (model: Model) => Promise<void>): Promise<void> {
  const backend = await cpu();
  try {
    const model = await loadModel(files(folder), { backend, rows: "f32", ...(weights ? { weights } : {}) });
    await work(model);
    model.free();
    expect(backend.memory().live).toBe(0);
  } finally {
    await backend.dispose();
  }
}

async function perplexity(model: Model, { ids, nll }: Reference): Promise<number> {
  const scores = await logProbabilities(model, ids);
  expect(scores.length).toBe(nll.length);
  return Math.exp(-scores.reduce((sum, score) => sum + score, 0) / scores.length);
}

describe("SmolLM2", () => {
  testWith(models, "has the token ids of the reference for prose and chat", async (folder) => {
    const { ids, greedy } = reference(folder);
    const { tokenizer: load } = await openModel(files(folder));
    const tokenizer = (await load())!;
    const text = tokenizer.decode(ids);
    expect(tokenizer.encode(text)).toEqual(ids);
    for (const { prompt, prompt_ids: wanted } of greedy) {
      expect(chatOf(tokenizer).prompt([{ role: "user", content: prompt }])).toEqual(wanted);
    }
  });

  testWith(
    models,
    "reads prose as the reference does with its weights as float32",
    (folder) =>
      withModel(folder, "f32", async (model) => {
        const wanted = reference(folder);
        const got = await perplexity(model, wanted);
        expect(Math.abs(got / wanted.perplexity_2048 - 1), `perplexity ${got}`).toBeLessThan(1e-4);
      }),
    300_000,
  );

  testWith(
    models,
    "reads prose nearly as well from its blocks, and answers as the reference does where that is sure",
    (folder) =>
      withModel(folder, undefined, async (model) => {
        const wanted = reference(folder);
        const got = await perplexity(model, wanted);
        expect(Math.abs(got / wanted.perplexity_2048 - 1), `perplexity ${got}`).toBeLessThan(5e-3);
        for (const { prompt, ids, margin } of wanted.greedy) {
          const { ids: answer } = await generate({
            model,
            policy: full(),
            prompt: [{ role: "user", content: prompt }],
            maxTokens: ids.length,
            temperature: 0,
          }).result;
          const first = ids.findIndex((id, step) => id !== answer[step]);
          // The reference goes on after the token that ends an answer.
          const ended = first === answer.length && model.facts.endTokens.includes(ids[first]!);
          if (first >= 0 && !ended) expect(margin[first], `${prompt}: step ${first}`).toBeLessThan(0.1);
        }
      }),
    300_000,
  );
});
