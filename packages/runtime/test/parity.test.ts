import { cpu } from "@ziggurat/cpu";
import { h2o } from "@ziggurat/h2o";
import { pebble } from "@ziggurat/pebble";
import { full, type Policy, sinksAndRecent } from "@ziggurat/policy";
import { type PyramidKVOptions, pyramidkv } from "@ziggurat/pyramid";
import { generate, loadModel, type Model, Session } from "@ziggurat/runtime";
import { type SnapKVOptions, snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logitsFixture, policiesFixture, type Top } from "./fixtures.js";

// Pebble beside transformers' LlamaForCausalLM in float32, on the same ids; K and V in f32.

const backend = await cpu({ threads: 2 });
let model: Model;
beforeAll(async () => {
  model = await loadModel(pebble(), { backend, rows: "f32" });
});
afterAll(() => backend.dispose());

/** The greatest difference of logits, relative to the greatest logit. */
function difference(logits: Float32Array, { ids, logits: expected }: Top): number {
  const size = Math.max(...expected.map(Math.abs));
  return Math.max(...ids.map((id, index) => Math.abs(logits[id]! - expected[index]!) / size));
}

const logitsAfter = async (ids: readonly number[]): Promise<Float32Array> => {
  for await (const { logits } of generate({
    model,
    policy: full(),
    prompt: ids,
    maxTokens: 1,
    ignoreEnd: true,
    logits: true,
  }))
    return logits!;
  throw new Error("no token was written");
};

describe("the logits of a prompt", () => {
  const { ids, last, top, logProbabilities } = logitsFixture();

  test("after its last token", async () => {
    const logits = await logitsAfter(ids);
    expect(difference(logits, { ids: [...last.keys()], logits: [...last] })).toBeLessThan(1e-3);
  });

  test("after tokens on the way", async () => {
    expect(top.length).toBeGreaterThan(8);
    for (const { position, ...expected } of top)
      expect(difference(await logitsAfter(ids.slice(0, position + 1)), expected), `position ${position}`).toBeLessThan(
        1e-3,
      );
  });

  test("give each token the same log-probability, fed one by one", async () => {
    const session = new Session({ model, policy: full() });
    await session.read(ids.slice(0, 1));
    const scores = await session.logProbabilities(ids.slice(1));
    session.close();
    const worst = Math.max(
      ...scores.map(
        (score, index) => Math.abs(score - logProbabilities[index]!) / (1 + Math.abs(logProbabilities[index]!)),
      ),
    );
    expect(worst).toBeLessThan(1e-3);
  });
});

describe("what a policy keeps of a document, and the logits of the tokens after it", () => {
  const { prompt, fed, policies } = policiesFixture();
  type Keep = { keep: number };
  const make: Record<keyof typeof policies, (options: never) => Policy> = {
    full: () => full(),
    streaming: (options: Keep & { sinks: number }) => streaming(options),
    h2o: (options: Keep & { recent: number }) => h2o(options),
    snapkv: (options: SnapKVOptions) => snapkv(options),
    "snapkv max": (options: SnapKVOptions) => snapkv(options),
    pyramidkv: (options: PyramidKVOptions) => pyramidkv(options),
    sinksAndRecent: (options: Keep & { sinks: number }) => sinksAndRecent(options),
  };

  test.each(Object.keys(policies) as (keyof typeof policies)[])("%s", async (name) => {
    const { options, kept, keptAfter, close, steps } = policies[name];
    const session = new Session({ model, policy: make[name](options as never) });
    const excused = new Set(close.map((row) => row.join(" ")));
    let differing = 0;
    const compare = (ours: readonly (readonly (readonly number[])[])[], theirs: typeof kept) => {
      theirs.forEach((heads, layer) =>
        heads.forEach((rows, head) => {
          const where = `layer ${layer}, KV head ${head}`;
          expect(ours[layer]![head]!.length, where).toBe(rows.length);
          const mine = new Set(ours[layer]![head]);
          const unlike = [
            ...rows.filter((row) => !mine.has(row)),
            ...ours[layer]![head]!.filter((row) => !rows.includes(row)),
          ];
          differing += unlike.length;
          expect(
            unlike.filter((row) => !excused.has(`${layer} ${head} ${row}`)),
            where,
          ).toEqual([]);
        }),
      );
    };
    try {
      await session.read(prompt);
      compare(await session.kept(), kept);
      if (name !== "full")
        expect(session.rows.flat().reduce((a, b) => a + b, 0)).toBeLessThan(
          prompt.length * kept.length * kept[0]!.length,
        );
      const logits: Float32Array[] = [];
      await session.logProbabilities(fed, { onLogits: (after) => void logits.push(after) });
      expect(logits.length).toBe(steps.length);
      // A row that was kept instead of one with an all but equal score moves the logits by more than rounding does.
      steps.forEach((expected, step) =>
        expect(difference(logits[step]!, expected), `step ${step}`).toBeLessThan(differing > 0 ? 2e-2 : 1e-3),
      );
      if (keptAfter) compare(await session.kept(), keptAfter);
    } finally {
      session.close();
    }
  });
});
