import { readFileSync } from "node:fs";
import { pebble } from "@ziggurat/pebble";
import { expect, it } from "vitest";
import { chatOf } from "../src/text/chat.js";
import { loadTokenizer } from "../src/text/tokenizer.js";
import { logitsFixture, policiesFixture } from "./fixtures.js";

const document = readFileSync(new URL("./fixtures/document.txt", import.meta.url), "utf8");

it("starts from the same token ids as transformers did", async () => {
  const prompt = chatOf((await loadTokenizer(pebble()))!).prompt([{ role: "user", content: document }]);
  expect(policiesFixture().prompt).toEqual(prompt);
  expect(logitsFixture().ids).toEqual(prompt.slice(0, 512));
});

it("keeps as many rows as each policy's options say, and evicts some", () => {
  const { prompt, fed, policies } = policiesFixture();
  expect(fed.length).toBe(8);
  for (const [name, { options, kept, keptAfter, steps }] of Object.entries(policies)) {
    const counts = kept.map((heads) => heads.map((rows) => rows.length));
    const mean = counts.flat().reduce((a, b) => a + b, 0) / counts.flat().length;
    expect(mean, name).toBe(options.keep ?? prompt.length);
    for (const rows of kept.flat()) expect(rows.at(-1), name).toBe(prompt.length - 1);
    for (const rows of keptAfter?.flat() ?? [])
      expect([rows.length, rows.at(-1)], name).toEqual([256, prompt.length + 7]);
    expect(steps.length).toBe(8);
  }
  expect(policies.full.steps[0]!.ids[0]).toBe(fed[1]);
});

it("has logits that fit together", () => {
  const { last, top, ids, logProbabilities } = logitsFixture();
  expect([last.length, top.length, logProbabilities.length]).toEqual([4096, 16, 511]);
  const { position, ids: best, logits } = top.at(-1)!;
  expect(position).toBe(ids.length - 1);
  for (const [i, id] of best.entries()) expect(last[id]).toBeCloseTo(logits[i]!, 4);
});
