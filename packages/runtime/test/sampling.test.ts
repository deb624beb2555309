import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { full } from "@ziggurat/policy";
import { generate, generateBatch, type Model, type SamplingOptions, Session } from "@ziggurat/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import { tinyModel } from "./support/models.js";

const prompt = randomIds(20, 1);
const policy = full();
const what = checkpoint();
let model: Model;
let slow: Model;
beforeAll(async () => {
  [model, slow] = [await tinyModel("cpu", what), await tinyModel("reference", what)];
});

const kinds: readonly [string, SamplingOptions][] = [
  ["temperature", { temperature: 2 }],
  ["top-k", { temperature: 3, topK: 4 }],
  ["top-p", { temperature: 2, topP: 0.8 }],
  ["min-p", { temperature: 2, minP: 0.1 }],
  ["a penalty", { temperature: 1.5, repetitionPenalty: 1.4 }],
  ["all together", { temperature: 2, topK: 20, topP: 0.9, minP: 0.02, repetitionPenalty: 1.2 }],
];

describe("sampling", () => {
  it.each(kinds)(
    "with %s: one seed gives one answer, on every backend and however ids are read; another seed another",
    async (_, options) => {
      const run = async (on: Model, seed: number, readEvery: number) =>
        (await generate({ model: on, policy, prompt, maxTokens: 24, seed, readEvery, ...options }).result).ids;
      const first = await run(model, 7, 8);
      expect(await run(model, 7, 1)).toEqual(first);
      expect(await run(slow, 7, 5)).toEqual(first);
      expect(await run(model, 8, 8)).not.toEqual(first);
      const batch = await generateBatch({
        model,
        requests: [7, 8, 7].map((seed) => ({ policy, prompt, maxTokens: 24, seed, ...options })),
      }).result;
      expect(batch.map(({ ids }) => ids)).toEqual([first, await run(model, 8, 8), first]);
    },
  );

  it("stays within what its options allow", async () => {
    const greedy: number[][] = [];
    for (const options of [
      { temperature: 5, topK: 1 },
      { temperature: 5, topP: 1e-9 },
      { temperature: 5, minP: 1 },
      {},
    ]) {
      greedy.push([...(await generate({ model, policy, prompt, maxTokens: 12, ...options }).result).ids]);
    }
    expect(new Set(greedy.map(String)).size).toBe(1);
    const answer = generate({ model, policy, prompt, maxTokens: 30, temperature: 4, topK: 3, seed: 3, logits: true });
    let beyondFirst = 0;
    for await (const { ids, logits } of answer) {
      const rank = logits!.filter((logit) => logit > logits![ids[0]!]!).length;
      expect(rank).toBeLessThan(3);
      if (rank > 0) beyondFirst++;
    }
    expect(beyondFirst).toBeGreaterThan(3);
  });

  it("with a penalty divides what was read or written, in later turns too", async () => {
    const penalty = 1.5;
    const session = new Session({ model, policy });
    const text: number[] = [];
    let changed = 0;
    for (const message of [prompt, randomIds(5, 2)]) {
      text.push(...message);
      const answer = session.generate({ prompt: message, maxTokens: 10, repetitionPenalty: penalty, logits: true });
      for await (const { ids, logits } of answer) {
        const known = new Set(text);
        const punished = logits!.map((logit, id) =>
          known.has(id) ? (logit > 0 ? logit / penalty : logit * penalty) : logit,
        );
        expect(ids).toEqual([punished.indexOf(Math.max(...punished))]);
        if (ids[0] !== logits!.indexOf(Math.max(...logits!))) changed++;
        text.push(...ids);
      }
    }
    expect(changed).toBeGreaterThan(2);
    session.close();
  });

  it("draws a seed where none is given, and tells it", async () => {
    const options = { model, policy, prompt, maxTokens: 24, temperature: 3 };
    const first = await generate(options).result;
    const second = await generate(options).result;
    expect(first.seed).not.toBe(second.seed);
    expect((await generate({ ...options, seed: first.seed }).result).ids).toEqual(first.ids);
  });
});
