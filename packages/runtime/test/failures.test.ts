import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { cpu } from "@ziggurat/cpu";
import { h2o } from "@ziggurat/h2o";
import { full, type Policy, PolicyError } from "@ziggurat/policy";
import { fit, generate, generateBatch, loadModel, RequestError, Session } from "@ziggurat/runtime";
import { generateEach, logProbabilities } from "@ziggurat/runtime/evaluate";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import { BufferError, reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { backendOf, evicting, tinyModel } from "./support/models.js";
import { live, settled } from "./support/settled.js";

const prompt = randomIds(40, 1);

/** A list of few objects that is as many values as 2 to the power of `levels`. */
function doubling(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value, value];
  return value;
}

describe("an abort", () => {
  it.each(["reference", "cpu"] as const)("gives everything back, wherever it comes, on %s", async (name) => {
    const { model, held, works } = await settled(await backendOf(name));
    let inPrefill = 0;
    for (const at of [0.1, 0.5, 0.9]) {
      const controller = new AbortController();
      const answer = generate({
        ...{ model, policy: snapkv({ keep: 20, window: 4 }), prompt, maxTokens: 30, signal: controller.signal },
        onProgress: (done) => done > at && controller.abort(new Error(`at ${at}`)),
      });
      await expect(answer.result).rejects.toThrow(`at ${at}`);
      inPrefill++;
      expect(live(model)).toEqual(held);
    }
    expect(inPrefill).toBe(3);
    const controller = new AbortController();
    const answer = generate({ model, policy: h2o({ keep: 20 }), prompt, maxTokens: 60, signal: controller.signal });
    const abortAfter = async () => {
      let pieces = 0;
      for await (const _ of answer) if (++pieces === 3) controller.abort(new Error("while writing"));
    };
    await expect(abortAfter()).rejects.toThrow("while writing");
    await expect(answer.result).rejects.toThrow("while writing");
    expect(live(model)).toEqual(held);
    await expect(
      generate({ model, policy: full(), prompt, signal: AbortSignal.abort(new Error("before")) }).result,
    ).rejects.toThrow("before");
    expect(live(model)).toEqual(held);
    await works();
  });

  it("is noticed while a long prompt is read on the CPU, whose caller is never blocked", async () => {
    const backend = await cpu({ threads: 1 });
    const model = await loadModel(checkpoint({ context: 16_384 }).files, { backend });
    const controller = new AbortController();
    const done: number[] = [];
    const answer = generate({
      model,
      policy: full(),
      prompt: randomIds(8000, 1),
      signal: controller.signal,
      onProgress: (part) => done.push(part),
    });
    const settledAnswer = answer.result.then(
      () => "written",
      () => "aborted",
    );
    await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort();
    expect(await settledAnswer).toBe("aborted");
    expect(Math.max(0, ...done)).toBeLessThan(1);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    await backend.dispose();
  });
});

it("a generation under way ends in an error where its backend is disposed of", async () => {
  for (const shared of [true, false]) {
    const backend = await cpu({ threads: 1, shared });
    const model = await loadModel(checkpoint({ context: 16_384 }).files, { backend });
    const answers = [
      generate({ model, policy: full(), prompt: randomIds(8000, 1) }),
      generate({ model, policy: full(), prompt, ignoreEnd: true }),
    ];
    const ends = answers.map(({ result }) => result.catch((error: unknown) => error));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await backend.dispose();
    for (const end of ends) expect(await end).toBeInstanceOf(BufferError);
  }
});

describe("leaving a generation", () => {
  it("by break gives everything back; the result rejects", async () => {
    const { model, held, works } = await settled(reference());
    const answer = generate({ model, policy: h2o({ keep: 20 }), prompt, maxTokens: 60 });
    for await (const { ids } of answer) {
      expect(ids.length).toBe(1);
      break;
    }
    await expect(answer.result).rejects.toMatchObject({ name: "AbortError" });
    expect(live(model)).toEqual(held);
    const batch = generateBatch({
      model,
      requests: [3, 4].map((seed) => ({ policy: full(), prompt: randomIds(20, seed), maxTokens: 30 })),
    });
    for await (const _ of batch) break;
    for await (const _ of generateEach({ model, policies: evicting(), prompt, maxTokens: 3 })) break;
    expect(live(model)).toEqual(held);
    await works();
  });

  it("can be awaited without iterating, more than once, and iterated only once", async () => {
    const { model } = await settled(reference());
    const answer = generate({ model, policy: full(), prompt, maxTokens: 3 });
    const [a, b] = await Promise.all([answer.result, answer.result]);
    expect(a).toBe(b);
    expect(a.ids.length).toBe(3);
    expect(() => answer[Symbol.asyncIterator]()).toThrow(RequestError);
  });
});

/** Policies that go wrong, each in another place. */
const faulty: readonly [string, Policy, RegExp][] = [
  [
    "a score of another shape",
    { ...snapkv({ keep: 12, window: 4 }), score: { score: ({ keys }) => keys } },
    /snapkv: layer 0: the score has shape \[2, 40, 8\]; it must be \[heads, rows\] = \[2, 40\]/,
  ],
  [
    "a score that is one number a head",
    { ...h2o({ keep: 12 }), protect: none(), score: { score: ({ mass }) => mass.sum("rows").group("mean") } },
    /layer 0: the score has shape \[2, 1\]/,
  ],
  [
    "a score of query heads",
    { ...h2o({ keep: 12 }), score: { watch: 1, score: ({ mass }) => mass } },
    /layer 0: the score has shape \[4, 40\]/,
  ],
  ["a score that throws", { ...h2o({ keep: 12 }), score: { score: () => raise() } }, /a mistake in the policy/],
  [
    "an observation that throws",
    { ...h2o({ keep: 12 }), score: { columns: ["sum"], observe: () => raise(), score: ({ positions }) => positions } },
    /a mistake/,
  ],
  [
    "too few columns",
    {
      ...h2o({ keep: 12 }),
      score: {
        columns: ["one", "two"],
        observe: ({ positions }) => ({ one: positions }),
        score: ({ positions }) => positions,
      },
    },
    /h2o: observe gave no column "two"; the scorer declares "one", "two"/,
  ],
  [
    "a mask of another shape",
    { ...h2o({ keep: 12 }), protect: { count: () => 0, mask: ({ keys }) => keys } },
    /layer 0: the mask of protected rows has shape \[2, 40, 8\]/,
  ],
  [
    "a score that is no tensor",
    { ...h2o({ keep: 12 }), score: { score: () => 3 as never } },
    /h2o: layer 0: the score is number; it must be a tensor made from the view/,
  ],
  [
    "a budget below what is protected",
    { ...h2o({ keep: 12 }), budget: ({ layers }) => layers.map(() => 3) },
    /layer 0 may keep 3 rows but protects 6/,
  ],
  [
    "a budget of nothing",
    { ...h2o({ keep: 12 }), budget: ({ layers }) => layers.map(() => Number.NaN) },
    /may keep NaN rows/,
  ],
  ["a schedule that throws", { ...h2o({ keep: 12 }), schedule: () => raise() }, /a mistake in the policy/],
  [
    "a budget that throws late",
    { ...h2o({ keep: 12 }), budget: ({ layers, seen }) => (seen > 43 ? raise() : layers.map(() => 12)) },
    /a mistake/,
  ],
  [
    "a score that throws at decode steps alone",
    { ...h2o({ keep: 12 }), score: { score: ({ positions }) => (positions.shape[1] === 13 ? raise() : positions) } },
    /a mistake in the policy/,
  ],
];
function raise(): never {
  throw new TypeError("a mistake in the policy");
}
function none() {
  return { count: () => 0, mask: ({ positions }: Parameters<Policy["protect"]["mask"]>[0]) => positions.lt(0) };
}

describe("a faulty policy", () => {
  it.each(faulty)("%s: is an error, and nothing is left behind", async (_, policy, message) => {
    const { model, held, works } = await settled(reference());
    const error: unknown = await generate({ model, policy, prompt, maxTokens: 9 }).result.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toMatch(message);
    expect(error).toBeInstanceOf(PolicyError);
    expect(live(model)).toEqual(held);
    const session = new Session({ model, policy });
    await expect(session.generate({ prompt, maxTokens: 9 }).result).rejects.toThrow(message);
    session.close();
    expect(live(model)).toEqual(held);
    await works();
  });

  it("is refused where it is no policy at all", async () => {
    const { model, held } = await settled(reference());
    for (const policy of [
      undefined,
      null,
      {},
      { ...full(), name: "" },
      { ...full(), schedule: 3 },
      { ...full(), positions: "rank" },
    ] as never[]) {
      await expect(generate({ model, policy, prompt }).result).rejects.toBeInstanceOf(PolicyError);
      await expect(
        generateBatch({
          model,
          requests: [
            { policy: full(), prompt },
            { policy, prompt },
          ],
        }).result,
      ).rejects.toBeInstanceOf(PolicyError);
      expect(() => new Session({ model, policy })).toThrow(PolicyError);
      await expect(generateEach({ model, policies: [full(), policy], prompt }).next()).rejects.toBeInstanceOf(
        PolicyError,
      );
    }
    expect(live(model)).toEqual(held);
  });
});

it("a failing generation does not hold up the next ones, which wait for its prefill", async () => {
  const { model, held } = await settled(await backendOf("cpu"));
  const bad = { ...h2o({ keep: 12 }), score: { score: () => raise() } };
  const order: string[] = [];
  const start = (name: string, policy: Policy) =>
    generate({
      model,
      policy,
      prompt,
      maxTokens: 4,
      onProgress: () => order.at(-1) !== name && order.push(name),
    }).result.then(
      ({ ids }) => ids,
      (error: Error) => error.message,
    );
  const [a, b, c, d] = await Promise.all([
    start("a", full()),
    start("b", bad),
    start("c", full()),
    start("d", h2o({ keep: 12 })),
  ]);
  expect(b).toBe("h2o: the score threw TypeError: a mistake in the policy");
  expect(c).toEqual(a);
  expect(d!.length).toBe(4);
  // One prefill after the other, in the order of asking.
  expect(order).toEqual(["a", "b", "c", "d"]);
  expect(live(model)).toEqual(held);
});

describe("bad input", () => {
  it("is a RequestError that names what and what would be right, before any work", async () => {
    const model = await tinyModel("reference");
    const before = model.backend.memory().live;
    model.backend.resetPeak();
    const policy = full();
    const requests: readonly [object, RegExp][] = [
      [{ prompt: [] }, /the prompt is empty/],
      [{ prompt: new Int32Array(0) }, /the prompt is empty/],
      [{ prompt: [1, 97] }, /token 97 at 1; .* tokens 0 to 96/],
      [{ prompt: [-1] }, /token -1/],
      [{ prompt: [1.5] }, /token 1.5/],
      [{ prompt: [1, Number.NaN] }, /token NaN/],
      // biome-ignore lint/suspicious/noSparseArray: what is to be refused
      [{ prompt: [1, , 2] }, /token undefined at 1/],
      [{ prompt: "text" }, /has no tokenizer/],
      [{ prompt: undefined }, /the prompt is undefined/],
      [{ prompt: { 0: 1 } }, /the prompt is /],
      [{ prompt: randomIds(513, 1) }, /513 tokens; .* reads 512/],
      [{ maxTokens: 0 }, /maxTokens is 0/],
      [{ maxTokens: Number.NaN }, /maxTokens is NaN/],
      [{ maxTokens: "4" }, /maxTokens is "4"/],
      [{ chunk: 0 }, /chunk is 0/],
      [{ chunk: Number.NaN }, /chunk is NaN/],
      [{ readEvery: 0 }, /readEvery is 0/],
      [{ readEvery: Number.NaN }, /readEvery is NaN/],
      [{ readEvery: 1e9 }, /readEvery is 1000000000/],
      [{ temperature: Number.NaN }, /temperature is NaN/],
      [{ temperature: -1 }, /temperature is -1/],
      [{ temperature: 1e-300 }, /temperature is 1e-300; it must be 0, or from 1e-30 to 1e6/],
      [{ temperature: 1e300 }, /temperature is 1e\+300/],
      [{ repetitionPenalty: 1e-300 }, /repetitionPenalty is 1e-300; it must be from 1e-6 to 1e6/],
      [{ repetitionPenalty: 1e300 }, /repetitionPenalty is 1e\+300/],
      [{ templateVariables: 1 }, /templateVariables is 1; it must be an object/],
      [{ templateVariables: { messages: [] } }, /templateVariables has messages/],
      [{ templateVariables: { a: doubling(60) } }, /templateVariables has more than 1048576 values/],
      [{ topK: 1.5 }, /topK is 1.5/],
      [{ topP: 0 }, /topP is 0/],
      [{ minP: Number.NaN }, /minP is NaN/],
      [{ repetitionPenalty: 0 }, /repetitionPenalty is 0/],
      [{ seed: -1 }, /seed is -1/],
      [{ seed: 2 ** 31 }, /seed is 2147483648/],
      [{ stopTokens: [2 ** 32 + 5] }, /stopTokens is \[4294967301\]; .* 0 to 96/],
      [{ stopTokens: "5" }, /stopTokens is "5"/],
      [{ stop: ["x"] }, /has no tokenizer and so no text to stop at/],
      [{ stop: "x" }, /stop is "x"/],
      [{ stop: [""] }, /none of them empty/],
      [{ maxCacheBytes: Number.NaN }, /maxCacheBytes is NaN/],
      [{ maxTokens: null }, /maxTokens is null/],
      [{ temperature: Symbol("t") }, /temperature is Symbol\(t\)/],
      [{ chunk: Object.create(null) }, /chunk is \{\}/],
      [{ readEvery: 5n }, /readEvery is 5n/],
      [{ logits: "yes" }, /logits is "yes"; it must be true or false/],
      [{ kept: 1 }, /kept is 1; it must be true or false/],
      [{ ignoreEnd: "no" }, /ignoreEnd is "no"; it must be true or false/],
      [{ signal: {} }, /signal is \{\}; it must be an AbortSignal/],
      [{ signal: null }, /signal is null; it must be an AbortSignal/],
      [{ onProgress: 5 }, /onProgress is 5; it must be a function/],
      [{ onEvent: "x" }, /onEvent is "x"; it must be a function/],
      [{ maxToken: 5 }, /generate: no option is called "maxToken"; there are .*maxTokens/],
      [
        { policy: streaming({ keep: 20 }), maxTokens: 1e12 },
        /maxTokens is 1000000000000; one turn may write 1048576 tokens/,
      ],
      [{ model: undefined }, /the model is undefined; it must be what loadModel resolves to/],
      [{ model: Promise.resolve(model) }, /the model is a promise; await loadModel/],
    ];
    for (const [change, message] of requests) {
      const attempt = generate({ model, policy, prompt, ...change } as never).result;
      await expect(attempt, message.source).rejects.toThrow(message);
      await expect(attempt).rejects.toBeInstanceOf(RequestError);
      // A session names it too, and stays open.
      // What a session is made with is no matter of its turns.
      if ("maxCacheBytes" in change || "model" in change || "policy" in change) continue;
      const session = new Session({ model, policy });
      await expect(session.generate({ prompt, ...change } as never).result, message.source).rejects.toThrow(message);
      expect(session.closed).toBe(false);
      session.close();
    }
    await expect(generateBatch({ model, requests: [] }).result).rejects.toThrow(/at least one/);
    await expect(generateEach({ model, policies: [], prompt }).next()).rejects.toThrow(/at least one/);
    const chunked = { model, policies: [policy], prompt, chunk: 10 };
    await expect(generateEach(chunked).next()).rejects.toThrow(/chunk is not an option here/);
    for (const requests of [5, [null], [5], new Array(1)] as never[])
      await expect(generateBatch({ model, requests }).result).rejects.toBeInstanceOf(RequestError);
    await expect(
      generateBatch({ model, requests: [{ policy, prompt, stops: ["x"] } as never] }).result,
    ).rejects.toThrow(/requests\[0\]: no option is called "stops"/);
    await expect(generateBatch({ model, requests: [{} as never] }).result).rejects.toBeInstanceOf(PolicyError);
    for (const nothing of [undefined, null, 5, {}] as never[]) {
      await expect(generate(nothing).result).rejects.toBeInstanceOf(RequestError);
      await expect(generateBatch(nothing).result).rejects.toBeInstanceOf(RequestError);
      await expect(generateEach(nothing).next()).rejects.toBeInstanceOf(RequestError);
      await expect(fit(nothing)).rejects.toBeInstanceOf(RequestError);
      expect(() => new Session(nothing)).toThrow(RequestError);
    }
    await expect(logProbabilities(model, prompt, {} as never)).rejects.toThrow(/signal is/);
    expect(() => new Session({ model, policy, maxCacheByte: 1 } as never)).toThrow(
      /no option is called "maxCacheByte"/,
    );
    expect(() => new Session({ model, policy, maxCacheBytes: Number.NaN })).toThrow(/maxCacheBytes is NaN/);
    expect(model.backend.memory().live).toBe(before);
    await expect(loadModel(checkpoint().files, { backend: model.backend, rows: "f64" as never })).rejects.toThrow(
      /rows is "f64"; it must be f32, f16, bf16/,
    );
    await expect(loadModel(checkpoint().files, { backend: model.backend, weights: "q2" as never })).rejects.toThrow(
      /weights is "q2"/,
    );
  });

  it("of a session leaves it open, unless it was half read", async () => {
    const model = await tinyModel("reference");
    const session = new Session({ model, policy: full() });
    await session.read([1, 2]);
    await expect(session.generate({ prompt: [1, 2], readEvery: 0 }).result).rejects.toThrow(/readEvery/);
    await expect(session.read([99])).rejects.toThrow(/token 99/);
    await expect(session.read([1], null as never)).rejects.toThrow(/read: the options are null/);
    await expect(session.read([1], { signal: {} as never })).rejects.toThrow(/signal is/);
    await expect(session.read([1], { chunks: 5 } as never)).rejects.toThrow(/read: no option is called "chunks"/);
    await expect(session.logProbabilities([1], { onLogits: 5 as never })).rejects.toThrow(/onLogits is 5/);
    await expect(session.generate(undefined as never).result).rejects.toBeInstanceOf(RequestError);
    expect(session.closed).toBe(false);
    expect((await session.generate({ prompt: [3], maxTokens: 2 }).result).ids.length).toBe(2);
    session.close();
  });
});
