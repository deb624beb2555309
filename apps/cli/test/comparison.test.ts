import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { parsePolicies } from "@ziggurat/policies";
import { generate, loadModel, type Model, Session } from "@ziggurat/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ComparisonOptions, compare, type Mode, type Run, warmUp } from "../src/comparison.js";
import { type EncodedDocument, encodeDocument, encodeStretch } from "../src/document.js";
import { report, summarise } from "../src/report.js";

// What a comparison says, held against values that come about in another way.

let model: Model;
beforeAll(async () => {
  model = await loadModel(pebble(), { backend: await cpu({ threads: 1 }) });
});
afterAll(async () => {
  model.free();
  await model.backend.dispose();
});

const line = "The garden was quiet and the old wall stood in the sun.";
const story = [...Array(9).fill(line), "Clara lives in Vienna.", ...Array(9).fill(line)].join("\n");
const modes: readonly Mode[] = ["shared", "isolated", "ask-later"];

async function runs(
  policies: string,
  document: EncodedDocument,
  more: Partial<ComparisonOptions> = {},
): Promise<Run[]> {
  const found: Run[] = [];
  const options = {
    mode: "shared" as Mode,
    maxTokens: 8,
    signal: new AbortController().signal,
    onProgress() {},
    ...more,
  };
  for await (const one of compare({ model, document, policies: parsePolicies(policies), ...options })) {
    if ("refused" in one) throw new Error(one.refused);
    found.push(one);
  }
  return found;
}

describe("perplexity", () => {
  it("is exp of the mean negative log-probability of the tokens that follow", async () => {
    const document = encodeStretch(model, `${story}\n${story}`, { tokens: 300, score: 25 });
    const [full, h2o] = await runs("full,h2o:keep=60", document);
    expect([full!.scoredTokens, h2o!.scoredTokens]).toEqual([25, 25]);
    for (const [run, policy] of [
      [full!, "full"],
      [h2o!, "h2o:keep=60"],
    ] as const) {
      // biome-ignore format: pairs
      // One token at a time, each in a call for itself, whose logits become a softmax here.
      const session = new Session({ model, policy: parsePolicies(policy).map(({ listed, keep }) => listed.make(keep && "rows" in keep ? { keep: keep.rows } : {}))[0]! }); // biome-ignore format: one policy
      await session.read(document.ids);
      const ids = document.following!;
      const logs: number[] = [...(await session.logProbabilities([ids[0]!]))];
      for (let at = 1; at < ids.length; at++) logs.push((await session.logProbabilities([ids[at]!]))[0]!);
      session.close();
      const perplexity = logs.reduce((product, log) => product * Math.exp(-log / 25), 1);
      expect(run.perplexity, policy).toBeCloseTo(perplexity, 3);
      expect(run.perplexity).toBeGreaterThan(1.01);
    }
  }, 120_000);
});

describe("right and wrong", () => {
  it.each([
    ["Vienna", true, "✓"],
    ["Lisbon", false, "✗"],
  ])("an answer of Vienna where %s is expected", async (expected, correct, mark) => {
    const document = encodeDocument(model, { text: story, question: "Where does Clara live?", expected });
    const [run] = await runs("full", document);
    expect([run!.answer, run!.expected, run!.correct]).toEqual(["Vienna", expected, correct]);
    const comparison = {
      ...{ model: "m", backend: "b", device: "d", rows: "bf16", mode: "shared" as const, promptTokens: 9 },
      ...{ question: "q", expected, documents: 1, runs: [run!], refusals: [], seconds: 1 },
    };
    expect(report(comparison, 100).find((text) => text.startsWith("full "))).toMatch(
      new RegExp(`^full +"Vienna" +${mark} `),
    );
    expect(summarise([run!, { ...run!, correct: true }, { ...run!, correct: true }])[0]).toMatchObject({
      documents: 3,
      right: correct ? 3 : 2,
      share: correct ? 1 : 2 / 3,
    });
  });

  it("an answer whose right form is not known is neither", async () => {
    const [run] = await runs("full", encodeDocument(model, { text: story, question: "Where does Clara live?" }));
    expect([run!.expected, run!.correct]).toEqual([null, null]);
  });

  it("a share of right answers is written in per cent", async () => {
    const document = encodeDocument(model, { text: story, question: "Where does Clara live?", expected: "Vienna" });
    const [run] = await runs("full", document);
    const comparison = {
      ...{ model: "m", backend: "b", device: "d", rows: "bf16", mode: "shared" as const, promptTokens: 9 },
      ...{ question: "q", expected: "Vienna", documents: 4, refusals: [], seconds: 1 },
      runs: [run!, run!, run!, { ...run!, correct: false }],
    };
    expect(report(comparison, 100).join("\n")).toContain("3 of 4 right, 75 %");
  });
});

describe("an answer", () => {
  it.each(modes)("is the one that generate gives, %s", async (mode) => {
    const document = encodeDocument(model, { text: story, question: "Where does Clara live?" });
    const [run] = await runs("full", document, { mode });
    const alone = await generate({ model, policy: parsePolicies("full")[0]!.listed.make({}), prompt: document.ids, maxTokens: 8 }).result; // biome-ignore format: one call
    expect(run!.answer).toBe(alone.text);
    expect(run!.answerTokens).toBe(alone.ids.length);
    expect(run!.finishReason).toBe("stop");
    expect(run!.timedTokens).toBe(8);
    expect(run!.promptTokens).toBe(document.ids.length);
    expect(run!.rowsPerLayer).toEqual(Array(16).fill(document.ids.length));
  });
});

describe("speeds", () => {
  /** Seconds from outside, and as the speeds of the run say. */
  async function measured(mode: Mode, document: EncodedDocument, maxTokens: number) {
    await warmUp(model, document, new AbortController().signal);
    const started = performance.now();
    const [run] = await runs("full", document, { mode, maxTokens });
    const seconds = (performance.now() - started) / 1000;
    const decode = run!.timedTokens / run!.decodeTokensPerSecond;
    const prefill = run!.promptTokens / run!.prefillTokensPerSecond;
    return { seconds, decode, prefill, policy: run!.policySeconds ?? 0 };
  }

  // Repeated if other work of the machine falls between what is measured: a wrong speed fails every time.
  // A short prompt, so that decoding takes most of the time. So few tokens have no median: the mean counts all of them.
  it.each(modes)("account for the time that was spent, %s", { retry: 4, timeout: 120_000 }, async (mode) => {
    const prompt = encodeDocument(model, { text: `${line}\n`.repeat(6), question: "Where does Clara live?" });
    const { seconds, decode, prefill, policy } = await measured(mode, prompt, 24);
    const share = (decode + prefill + policy) / seconds;
    expect(share).toBeLessThan(1.02);
    expect(share).toBeGreaterThan(0.75);
    // A decode speed that counted the prompt's tokens would leave its time out of the sum.
    const counted = (decode * 24) / (24 + prompt.ids.length);
    expect((counted + prefill + policy) / seconds).toBeLessThan(0.75);
  });

  it("of scored tokens account for the time that was spent", { retry: 4, timeout: 120_000 }, async () => {
    const document = encodeStretch(model, `${story}\n`.repeat(4), { tokens: 600, score: 100 });
    const { seconds, decode, prefill, policy } = await measured("shared", document, 1);
    expect(decode + prefill + policy).toBeLessThan(1.02 * seconds);
    expect(decode + prefill + policy).toBeGreaterThan(0.8 * seconds);
  });
});
