import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { cpu } from "@ziggurat/cpu";
import { h2o } from "@ziggurat/h2o";
import { full } from "@ziggurat/policy";
import { generate, loadModel, Session } from "@ziggurat/runtime";
import { type Backend, OutOfMemoryError, reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { live } from "./support/settled.js";

const prompt = randomIds(40, 1);

describe("out of memory", () => {
  /** Bytes that the peak of one generation takes, room beside the weights that is just too little at many places. */
  async function attempts(create: (maxBytes: number) => Promise<Backend>, whole: number, free: number, grain: number) {
    let refused = 0;
    for (let part = 0.3; part < 1; part += 0.12) {
      const backend = await create(Math.ceil((whole - free + part * free) / grain) * grain);
      const model = await loadModel(checkpoint({ context: 4096 }).files, { backend, rows: "f32" });
      const small = () =>
        generate({ model, policy: h2o({ keep: 3 }), prompt: prompt.slice(0, 4), maxTokens: 2 }).result;
      const { ids } = await small();
      const held = live(model);
      const error: unknown = await generate({
        model,
        policy: h2o({ keep: 20 }),
        prompt: randomIds(900, 2),
        maxTokens: 9,
      }).result.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error !== undefined) {
        refused++;
        expect(error).toBeInstanceOf(OutOfMemoryError);
        expect({ ...live(model), rope: 0 }).toEqual({ ...held, rope: 0 });
        expect((await small()).ids).toEqual(ids);
      }
      await backend.dispose();
    }
    return refused;
  }

  it("in the middle is an OutOfMemoryError; the backend works on and nothing is left, on the reference", async () => {
    const backend = reference();
    const model = await loadModel(checkpoint({ context: 4096 }).files, { backend, rows: "f32" });
    const before = backend.memory().live;
    await generate({ model, policy: h2o({ keep: 20 }), prompt: randomIds(900, 2), maxTokens: 9 }).result;
    const { peak } = backend.memory();
    expect(await attempts(async (maxBytes) => reference({ maxBytes }), peak, peak - before, 1)).toBeGreaterThanOrEqual(
      5,
    );
  }, 120_000);

  it("so on the CPU", async () => {
    const big = checkpoint({ context: 16_384 });
    const backend = await cpu({ threads: 1, maxBytes: 3 * 2 ** 20 });
    const model = await loadModel(big.files, { backend, rows: "f32" });
    const small = () => generate({ model, policy: h2o({ keep: 10 }), prompt, maxTokens: 4 }).result;
    const { ids } = await small();
    const held = live(model);
    for (const tokens of [1000, 2000, 4000, 8000, 16_000]) {
      const error: unknown = await generate({
        model,
        policy: h2o({ keep: 500 }),
        prompt: randomIds(tokens, 2),
        maxTokens: 9,
      }).result.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (tokens >= 8000) expect(error).toBeInstanceOf(OutOfMemoryError);
      expect({ ...live(model), rope: 0 }).toEqual({ ...held, rope: 0 });
      expect((await small()).ids).toEqual(ids);
    }
    await backend.dispose();
  }, 120_000);

  it.each(["reference", "cpu"] as const)(
    "reaches the generation that asked for too much, not one beside it, on %s",
    async (name) => {
      // Room for the large ones' rotation tables; their prompts do not fit at all, and so take nothing from the small
      // ones.
      const maxBytes = 8 * 2 ** 20;
      const backend = name === "cpu" ? await cpu({ threads: 1, maxBytes }) : reference({ maxBytes });
      const model = await loadModel(checkpoint({ context: 65_536 }).files, { backend, rows: "f32" });
      const small = (seed: number, maxTokens: number) =>
        generate({ model, policy: h2o({ keep: 20 }), prompt: randomIds(30, seed), maxTokens });
      const alone = await small(1, 90).result;
      const held = live(model);
      const large = (tokens: number) =>
        generate({ model, policy: full(), prompt: randomIds(tokens, 2), maxTokens: 9 }).result;
      const beside = await Promise.allSettled([
        small(1, 90).result,
        ...[60_000, 50_000].map(large),
        small(1, 90).result,
        large(55_000),
        ...[10, 20, 30].map((tokens) => small(1, tokens).result),
      ]);
      const ids = beside.map((one) => (one.status === "fulfilled" ? one.value.ids : one.reason));
      for (const at of [1, 2, 4]) expect(ids[at], String(at)).toBeInstanceOf(OutOfMemoryError);
      const rest = [90, 90, 10, 20, 30].map((tokens) => alone.ids.slice(0, tokens));
      expect([0, 3, 5, 6, 7].map((at) => ids[at])).toEqual(rest);
      expect({ ...live(model), rope: 0 }).toEqual({ ...held, rope: 0 });
      // No error is left for later callers.
      await backend.synchronise();
      expect((await small(1, 90).result).ids).toEqual(alone.ids);
      await backend.dispose();
    },
    60_000,
  );

  it("in a fork or in logProbabilities rejects that call alone, and later work succeeds", async () => {
    const what = checkpoint({ context: 4096 });
    const policy = full();
    const text = randomIds(300, 1);
    const roomy = reference();
    const model = await loadModel(what.files, { backend: roomy, rows: "f32" });
    const session = new Session({ model, policy });
    await session.read(text);
    const { peak, live: open } = roomy.memory();
    const expected = await session.logProbabilities([1, 2]);
    // The peak of reading is enough for the first session and too little for several.
    const backend = reference({ maxBytes: Math.max(peak, open + 1000) });
    const tight = await loadModel(what.files, { backend, rows: "f32" });
    const first = new Session({ model: tight, policy });
    await first.read(text);
    const forks: Session[] = [];
    let error: unknown;
    while (error === undefined && forks.length < 20) {
      const before = backend.memory().live;
      await first.fork().then(
        (fork) => forks.push(fork),
        (reason: unknown) => {
          error = reason;
          expect(backend.memory().live).toBe(before);
        },
      );
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    for (const fork of forks) fork.close();
    expect(await first.logProbabilities([1, 2])).toEqual(expected);
    first.close();
  });
});
