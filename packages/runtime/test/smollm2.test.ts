import { readFileSync } from "node:fs";
import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { generate, loadModel, type Model, openModel, Session } from "@ziggurat/runtime";
import { logProbabilities } from "@ziggurat/runtime/evaluate";
import { file } from "@ziggurat/runtime/node";
import type { RowDType, WeightDType } from "@ziggurat/tensor";
import { describe, expect } from "vitest";
import { longRun, models, testWith } from "../../../scripts/requirements.js";
import { chatOf } from "../src/text/chat.js";

// A real model against what transformers makes of the same file; reference.json beside it says how that was made.

interface Reference {
  readonly ids: number[];
  readonly nll: number[];
  readonly perplexity_2048: number;
  readonly top10: { readonly positions: number[]; readonly ids: number[][]; readonly logp: number[][] };
  readonly greedy: {
    readonly prompt: string;
    readonly prompt_ids: number[];
    readonly ids: number[];
    readonly margin: number[];
  }[];
}

const files = (folder: string) => file(`${folder}/smollm2-135m-instruct-q4_1.gguf`);
const reference = (folder: string) => JSON.parse(readFileSync(`${folder}/reference.json`, "utf8")) as Reference;

async function withModel(
  folder: string,
  weights: WeightDType | undefined,
  work: (model: Model) => Promise<void>,
  rows: RowDType = "f32",
): Promise<void> {
  const backend = await cpu();
  try {
    const model = await loadModel(files(folder), { backend, rows, ...(weights ? { weights } : {}) });
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
    "reads 2,048 tokens of prose as the reference does with its weights as float32",
    async (folder, context) => {
      longRun(context);
      await withModel(folder, "f32", async (model) => {
        const wanted = reference(folder);
        const got = await perplexity(model, wanted);
        expect(Math.abs(got / wanted.perplexity_2048 - 1), `perplexity ${got}`).toBeLessThan(1e-4);
      });
    },
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

  testWith(
    models,
    "reads 256 tokens of prose as the reference does with weights and rows in float32, and as well with rows in 16 bits",
    async (folder) => {
      const { ids, nll } = reference(folder);
      // The first 256 of the reference's tokens are enough for that, and quick.
      const part = { ...reference(folder), ids: ids.slice(0, 256), nll: nll.slice(0, 255) };
      const found: Record<string, number> = {};
      for (const rows of ["f32", "bf16", "f16"] as const) {
        // Weights in float32, so that nothing else is rounded: activations in 8 bits would scatter more than that over
        // so few tokens.
        await withModel(folder, "f32", async (model) => void (found[rows] = await perplexity(model, part)), rows);
      }
      const wanted = Math.exp(part.nll.reduce((sum, loss) => sum + loss, 0) / part.nll.length);
      expect(Math.abs(found.f32! / wanted - 1), `${found.f32}, expected ${wanted}`).toBeLessThan(1e-4);
      for (const rows of ["bf16", "f16"])
        expect(Math.abs(found[rows]! / found.f32! - 1), JSON.stringify(found)).toBeLessThan(5e-3);
    },
    300_000,
  );

  testWith(
    models,
    "converses over three turns, in a session as in one prompt of all messages, and ends its turns",
    (folder) =>
      withModel(folder, undefined, async (model) => {
        const session = new Session({ model, policy: full() });
        const messages: { role: string; content: string }[] = [];
        for (const content of ["What is the capital of France?", "And of Italy?", "And of Japan?"]) {
          messages.push({ role: "user", content });
          const { text, finishReason, ids } = await session.generate({
            prompt: [messages.at(-1)!],
            maxTokens: 32,
            temperature: 0,
          }).result;
          expect(finishReason, text).toBe("stop");
          expect(text).not.toMatch(/<\|im_/);
          const whole = await generate({ model, policy: full(), prompt: messages, maxTokens: 32, temperature: 0 })
            .result;
          expect(whole.ids).toEqual(ids);
          messages.push({ role: "assistant", content: text });
        }
        // The later questions mean something only to who remembers the first.
        expect(messages.filter(({ role }) => role === "assistant").map(({ content }) => content)).toEqual([
          expect.stringContaining("Paris"),
          expect.stringContaining("Rome"),
          expect.stringContaining("Tokyo"),
        ]);
        session.close();
      }),
    300_000,
  );
});
