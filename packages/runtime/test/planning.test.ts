import { randomIds } from "@ziggurat/bench-kit/fixtures";
import { full } from "@ziggurat/policy";
import { fit, generate, generateBatch, type Model, Session } from "@ziggurat/runtime";
import { generateEach } from "@ziggurat/runtime/evaluate";
import { streaming } from "@ziggurat/streaming";
import { reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { live, settled } from "./support/settled.js";

const prompt = randomIds(40, 1);

describe("planning a long turn", () => {
  const policy = streaming({ keep: 64 });
  // A plan of 2^20 steps takes seconds: if it held the thread, no timer would run before it ended.
  const onTimer = () => {
    const controller = new AbortController();
    let ticks = 0;
    const timer = setInterval(() => {
      if (++ticks === 3) controller.abort(new Error("enough"));
    }, 1);
    return { signal: controller.signal, ticks: () => ticks, stop: () => clearInterval(timer) };
  };
  const long: readonly [string, (model: Model, signal: AbortSignal) => Promise<unknown>][] = [
    ["generate", (model, signal) => generate({ model, policy, prompt, maxTokens: 2 ** 20, signal }).result],
    [
      "generateBatch",
      (model, signal) => generateBatch({ model, requests: [{ policy, prompt, maxTokens: 2 ** 20 }], signal }).result,
    ],
    [
      "generateEach",
      (model, signal) => generateEach({ model, policies: [policy], prompt, maxTokens: 2 ** 20, signal }).next(),
    ],
    [
      "a session",
      async (model, signal) => {
        const session = new Session({ model, policy });
        try {
          await session.generate({ prompt, maxTokens: 2 ** 20, signal }).result;
        } finally {
          expect(session.closed).toBe(false);
          session.close();
        }
      },
    ],
    [
      "fit",
      (model, signal) => {
        const options = { model, tokens: 2 ** 20, chunk: 1, maxTokens: 1, maxCacheBytes: 2 ** 30, signal };
        return fit({ ...options, policy: (keep) => streaming({ keep: keep + 4 }) });
      },
    ],
  ];
  it.each(long)("%s: leaves the thread to others, and hears the signal", async (_, work) => {
    const { model, held } = await settled(reference());
    const timer = onTimer();
    await expect(work(model, timer.signal)).rejects.toThrow("enough");
    timer.stop();
    expect(timer.ticks()).toBeGreaterThanOrEqual(3);
    expect(live(model)).toEqual(held);
  });
});

describe("a generation whose iterator is not used", () => {
  it("is written when its result is asked for, and cannot be iterated any more", async () => {
    const { model, held } = await settled(reference());
    const answer = generate({ model, policy: full(), prompt, maxTokens: 4 });
    const iterator = answer[Symbol.asyncIterator]();
    expect((await answer.result).ids.length).toBe(4);
    await expect(iterator.next()).rejects.toThrow(/being iterated already/);
    expect(() => answer[Symbol.asyncIterator]()).toThrow(/being iterated already/);
    expect(live(model)).toEqual(held);
  });
});
