import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { generate, loadModel } from "@ziggurat/runtime";
import { logProbabilities } from "@ziggurat/runtime/evaluate";
import { folder } from "@ziggurat/runtime/node";
import { type Backend, reference } from "@ziggurat/tensor";
import { afterAll, describe, expect, it } from "vitest";

// Tiny random checkpoints of every family, and what transformers makes of them in float32: see fixtures/families.py.

interface Expected {
  readonly prompt: number[];
  readonly log_probabilities: number[];
  readonly ids: number[];
  readonly logits: string;
}

const home = fileURLToPath(new URL("fixtures/families/", import.meta.url));
const backends = { reference: async () => reference(), cpu: () => cpu({ threads: 1 }) };
const made = new Map<string, Promise<Backend>>();
const backendOf = (name: keyof typeof backends): Promise<Backend> => {
  if (!made.has(name)) made.set(name, backends[name]());
  return made.get(name)!;
};
afterAll(async () => {
  for (const backend of made.values()) await (await backend).dispose();
});

describe.each(["reference", "cpu"] as const)("on the %s backend", (backendName) => {
  it.each(readdirSync(home))("%s: has transformers' logits for a prompt and the answer to it", async (name) => {
    const backend = await backendOf(backendName);
    const expected = JSON.parse(readFileSync(`${home}/${name}/expected.json`, "utf8")) as Expected;
    const steps = expected.ids.length;
    const bytes = Buffer.from(expected.logits, "base64");
    const wanted = new Float32Array(new Uint8Array(bytes).buffer);
    const vocabulary = wanted.length / steps;
    // The reference reads so little that it takes the factors for short texts where it has a choice.
    const options = {
      backend,
      rows: "f32",
      weights: "f32",
      ...(name.includes("longrope-short") ? { contextLength: 64 } : {}),
    } as const;
    const model = await loadModel(folder(`${home}/${name}`), options);
    try {
      expect(model.facts.vocabularySize).toBe(vocabulary);
      const scores = await logProbabilities(model, expected.prompt);
      expected.log_probabilities.forEach((score, i) => {
        expect(Math.abs(scores[i]! - score), `token ${i + 1}: ${scores[i]}, not ${score}`).toBeLessThan(
          1e-3 * (1 + Math.abs(score)),
        );
      });
      const answer = generate({
        model,
        policy: full(),
        prompt: expected.prompt,
        maxTokens: steps,
        temperature: 0,
        logits: true,
      });
      let step = 0;
      for await (const { ids, logits } of answer) {
        const row = wanted.subarray(step * vocabulary, (step + 1) * vocabulary);
        const size = Math.max(...row.map(Math.abs));
        row.forEach((value, id) => {
          expect(
            Math.abs(logits![id]! - value),
            `step ${step}, logit ${id}: ${logits![id]}, not ${value}`,
          ).toBeLessThan(1e-3 * size);
        });
        expect(ids).toEqual([expected.ids[step]]);
        step++;
      }
      expect(step).toBe(steps);
    } finally {
      model.free();
    }
  });
});
