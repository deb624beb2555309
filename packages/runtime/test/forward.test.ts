import { type Checkpoint, checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { full } from "@ziggurat/policy";
import { generate, type Model } from "@ziggurat/runtime";
import { toBeAllclose } from "@ziggurat/testing";
import { describe, expect, it } from "vitest";
import { backendNames, tinyModel } from "./support/models.js";
import { plainLogits } from "./support/plain-llama.js";

expect.extend({ toBeAllclose });

/** Generates greedily with logits, and holds every one of them against the plain computation. */
async function compare(model: Model, what: Checkpoint, prompt: readonly number[], tolerance: number): Promise<void> {
  const answer = generate({ model, policy: full(), prompt, maxTokens: 5, logits: true });
  const logits: Float32Array[] = [];
  for await (const piece of answer) logits.push(piece.logits!);
  const { ids } = await answer.result;
  expect(ids.length).toBe(5);
  const expected = plainLogits(what, [...prompt, ...ids.slice(0, -1)]).slice(prompt.length - 1);
  logits.forEach((row, step) => {
    expect(row, `${prompt.length} tokens, step ${step}`).toBeAllclose(expected[step]!, { tolerance });
    expect(ids[step]).toBe(row.indexOf(Math.max(...row)));
  });
}

describe.each(backendNames)("the Llama forward on %s", (name) => {
  // Odd lengths: a single token, within a tile, a tile of the reference, one more, and several tiles with a rest.
  it.each([1, 7, 64, 65, 150])("gives the logits of a plain computation, %i tokens", async (tokens) => {
    const what = checkpoint();
    await compare(await tinyModel(name, what), what, randomIds(tokens, tokens), 2e-4);
  });

  it.each([
    ["tied embeddings", { tied: true }],
    ["biases", { biases: true }],
    ["one KV head", { kvHeads: 1 }],
    ["as many KV heads as query heads, together wider than hidden", { kvHeads: 4, headSize: 16 }],
  ])("so with %s", async (_, change) => {
    const what = checkpoint(change, { seed: 2 });
    await compare(await tinyModel(name, what), what, randomIds(33, 4), 2e-4);
  });
});

it("gives the same where the CPU backend needs two tiles", async () => {
  const what = checkpoint();
  await compare(await tinyModel("cpu", what), what, randomIds(299, 6), 2e-4);
});
