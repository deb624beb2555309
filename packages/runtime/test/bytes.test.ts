import { checkpoint, randomIds, tiny } from "@ziggurat/bench-kit/fixtures";
import { cpu } from "@ziggurat/cpu";
import { h2o } from "@ziggurat/h2o";
import { full, type Policy, random } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import {
  CeilingError,
  fit,
  generate,
  generateBatch,
  loadModel,
  type Model,
  RequestError,
  Session,
} from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import type { Backend, RowDType } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { evicting, ragged } from "./support/models.js";
import { zerosBackend } from "./support/zeros.js";

const what = checkpoint({ context: 16_384 });
const load = (backend: Backend, rows: RowDType = "bf16") => loadModel(what.files, { backend, rows });
const { layers, kvHeads, headSize } = tiny;

/**
 * Bytes of one row of one KV head: K, V, position, rank with slot positions, the scorer's columns. Written out here,
 * not asked of the cache.
 */
const rowOf = (policies: readonly Policy[], element: number) =>
  2 * headSize * element +
  4 *
    (1 +
      (policies.some(({ positions }) => positions === "slot") ? 1 : 0) +
      Math.max(0, ...policies.map(({ score }) => score.columns?.length ?? 0)));
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
const tablesOf = (sequences: number) => 4 * (3 * layers * sequences * kvHeads + sequences * kvHeads + sequences);

/** Bytes by label. */
function labels(backend: Backend) {
  const { labels: all, live } = backend.memory();
  const of = (label: string) => all[label]?.live ?? 0;
  return { cache: of("cache"), room: of("room"), tables: of("tables"), rope: of("rope"), scratch: of("scratch"), live };
}
/** The table of 2^n positions: headSize numbers each. */
const ropeBytes = (positions: number) => 4 * headSize * Math.max(256, 2 ** Math.ceil(Math.log2(positions)));

const twelvePercent = 983;
const policies8k: readonly Policy[] = [
  full(),
  streaming({ keep: twelvePercent }),
  h2o({ keep: twelvePercent }),
  snapkv({ keep: twelvePercent }),
  pyramidkv({ keep: twelvePercent }),
  random({ keep: twelvePercent }),
  ragged(700, 1200),
];

/**
 * Rows after the prompt, and the most rows while 10 tokens are fed, [layer][KV head], worked out from what each policy
 * is.
 */
function expected8k({ name }: Policy, tokens: number, fed: number): { held: number[]; capacity: number[] } {
  const heads = layers * kvHeads;
  const all = (rows: number) => new Array<number>(heads).fill(rows);
  if (name === "full") return { held: all(tokens), capacity: all(tokens + fed) };
  // Rolling eviction: one row more than the budget, until it is evicted.
  if (name === "streaming" || name === "h2o") return { held: all(twelvePercent), capacity: all(twelvePercent + 1) };
  if (name === "snapkv" || name === "random") return { held: all(twelvePercent), capacity: all(twelvePercent + fed) };
  if (name === "ragged") {
    // Compressed at every third token.
    const held = all(0).map((_, index) => (index % 2 === 0 ? 700 : 1200));
    return { held, capacity: held.map((rows) => rows + 3) };
  }
  // pyramidkv, beta 20, window 32: 951 rows on average beside the window, the least 951 / 20.
  const least = Math.floor((twelvePercent - 32) / 20);
  const most = 2 * (twelvePercent - 32) - least;
  const held = [most, (most + least) / 2, least].flatMap((rows) => [32 + rows, 32 + rows]);
  return { held, capacity: held.map((rows) => rows + fed) };
}

async function measure(backend: Backend, model: Model, policy: Policy, tokens: number) {
  backend.resetPeak();
  const answer = generate({ model, policy, prompt: randomIds(tokens, 1), maxTokens: 11, stopTokens: [] });
  let during = labels(backend);
  for await (const _ of answer) during = labels(backend);
  const result = await answer.result;
  const element = model.rowDType === "f32" ? 4 : 2;
  const row = rowOf([policy], element);
  const { held, capacity } = expected8k(policy, tokens, 10);
  // With slot positions the prompt is the longest that is rotated.
  const rope = ropeBytes(policy.positions === "slot" ? tokens : tokens + 10);
  const expected = { cache: row * sum(held), room: row * (sum(capacity) - sum(held)), tables: tablesOf(1) };
  expect({ ...during, live: 0 }).toEqual({ ...expected, rope, scratch: 0, live: 0 });
  const scratch =
    kvHeads * tokens * (row + (policy.positions === "slot" ? headSize * element : 0)) + 4 * (4 * kvHeads + 1);
  expect(backend.memory().labels.scratch!.peak).toBe(scratch);
  const bytes = expected.cache + expected.room + expected.tables;
  expect(result.cache).toMatchObject({ bytes, roomBytes: expected.room, peakBytes: bytes + scratch });
  expect(result.policy.active).toBe(policy.name !== "full");
  expect(sum(result.cache.rows.flat())).toBe(sum(held));
}

describe("bytes are rows x bytes per row, exactly", () => {
  it.each(policies8k.map((policy) => [policy.name, policy] as const))("%s at 8,192 tokens", async (_, policy) => {
    for (const dtype of ["f32", "f16", "bf16"] as const) {
      const backend = zerosBackend();
      const model = await load(backend, dtype);
      await measure(backend, model, policy, 8192);
      const { live, rope } = labels(backend);
      expect(live).toBe(model.weightBytes + rope);
    }
  });

  it("on a backend that computes", async () => {
    const backend = await cpu({ threads: 1 });
    const model = await load(backend);
    for (const policy of policies8k.slice(1, 5)) await measure(backend, model, policy, 3000 + twelvePercent);
    await backend.dispose();
  }, 120_000);

  it("of a batch are those of its sequences, all with the cells that the greediest needs", async () => {
    const backend = zerosBackend();
    const model = await load(backend);
    const policies = [streaming({ keep: 100 }), h2o({ keep: 80 }), full()];
    const requests = policies.map((policy, index) => ({
      policy,
      prompt: randomIds(500 + index, 1),
      maxTokens: 11 + index,
    }));
    const [result] = await generateBatch({ model, requests }).result;
    const heads = layers * kvHeads;
    const row = rowOf(policies, 2);
    const capacity = heads * (101 + 81 + 502 + 12);
    const scratch = Math.max(kvHeads * 502 * row, kvHeads * 500 * (row + 2 * headSize)) + 4 * (4 * kvHeads + 1);
    expect(result!.cache).toMatchObject({
      bytes: row * capacity + tablesOf(3),
      roomBytes: row * heads * (1 + 1 + 12),
      peakBytes: row * capacity + tablesOf(3) + scratch,
    });
  });
});

/** What `backend.memory()` says of K and V together at the highest: a listener to every allocation. */
function watched(backend: Backend): { backend: Backend; highest: () => number; reset: () => void } {
  const parts = ["cache", "room", "scratch", "tables"];
  let most = 0;
  const now = () => sum(parts.map((label) => backend.memory().labels[label]?.live ?? 0));
  return {
    backend: {
      ...backend,
      allocate(bytes, label) {
        const buffer = backend.allocate(bytes, label);
        most = Math.max(most, now());
        return buffer;
      },
    },
    highest: () => most,
    reset: () => void (most = now()),
  };
}

describe("the peak", () => {
  it("is what was planned, turn after turn, for every policy", async () => {
    for (const policy of [...evicting(40), full()]) {
      const { backend, highest, reset } = watched(zerosBackend());
      const model = await load(backend);
      const session = new Session({ model, policy });
      for (const [tokens, maxTokens, chunk] of [
        [300, 200],
        [50, 5],
        [90, 60, 40],
        [1, 1],
      ] as const) {
        reset();
        const { cache } = await session.generate({
          prompt: randomIds(tokens, tokens),
          maxTokens,
          ...(chunk ? { chunk } : {}),
        }).result;
        expect(highest(), `${policy.name}, ${tokens} tokens`).toBe(cache.peakBytes);
      }
      session.close();
    }
  });

  it("is the ceiling that a turn just fits under, of sessions and of score too", async () => {
    for (const policy of [...evicting(40), full()]) {
      const { backend, highest, reset } = watched(zerosBackend());
      const model = await load(backend);
      const steps: ((session: Session) => Promise<unknown>)[] = [
        (session) => session.generate({ prompt: randomIds(300, 1), maxTokens: 150 }).result,
        (session) => session.read(randomIds(20, 1)),
        (session) => session.logProbabilities(randomIds(70, 2)),
        (session) => session.generate({ prompt: randomIds(100, 1), maxTokens: 3 }).result,
      ];
      const peaks: number[] = [];
      const open = new Session({ model, policy });
      for (const step of steps) {
        reset();
        await step(open);
        peaks.push(highest());
      }
      open.close();
      for (const [index, peak] of peaks.entries()) {
        if (peak < Math.max(...peaks.slice(0, index))) continue;
        for (const [ceiling, fits] of [
          [peak, true],
          [peak - 1, false],
        ] as const) {
          const session = new Session({ model, policy, maxCacheBytes: ceiling });
          for (const step of steps.slice(0, index)) await step(session);
          const before = backend.memory();
          const last = steps[index]!(session);
          if (fits) await last;
          else {
            await expect(last, `${policy.name}, step ${index}`).rejects.toBeInstanceOf(CeilingError);
            expect(backend.memory().live).toBe(before.live);
          }
          session.close();
        }
      }
    }
  });
});

describe("maxCacheBytes", () => {
  it("is honoured, or refused before anything is allocated", async () => {
    const backend = zerosBackend();
    const model = await load(backend);
    const request = { model, policy: h2o({ keep: 64 }), prompt: randomIds(500, 1), maxTokens: 40 };
    const { peakBytes } = (await generate(request).result).cache;
    expect((await generate({ ...request, maxCacheBytes: peakBytes }).result).cache.peakBytes).toBe(peakBytes);
    backend.resetPeak();
    const { live } = backend.memory();
    const refused = generate({ ...request, maxCacheBytes: peakBytes - 1 }).result;
    await expect(refused).rejects.toBeInstanceOf(CeilingError);
    await expect(refused).rejects.toThrow(
      `would take ${peakBytes} bytes at its peak; maxCacheBytes is ${peakBytes - 1}`,
    );
    expect(backend.memory().peak).toBe(live);
    // Smaller pieces need a smaller scratch.
    const chunked = await generate({ ...request, maxCacheBytes: peakBytes - 1, chunk: 100 }).result;
    expect(chunked.cache.peakBytes).toBeLessThan(peakBytes);
  });

  it("may be too small for one token", async () => {
    const model = await load(zerosBackend());
    for (const maxCacheBytes of [1, tablesOf(1)]) {
      await expect(
        generate({ model, policy: full(), prompt: [1], maxTokens: 1, maxCacheBytes }).result,
      ).rejects.toBeInstanceOf(CeilingError);
      const session = new Session({ model, policy: full(), maxCacheBytes });
      await expect(session.read([1])).rejects.toBeInstanceOf(CeilingError);
      session.close();
      await expect(
        fit({ model, tokens: 1, maxCacheBytes, policy: (keep) => snapkv({ keep, window: 1 }) }),
      ).rejects.toThrow();
    }
    for (const maxCacheBytes of [0, -1, Number.NaN, "1" as never]) {
      await expect(generate({ model, policy: full(), prompt: [1], maxCacheBytes }).result).rejects.toBeInstanceOf(
        RequestError,
      );
    }
  });
});

describe("fit", () => {
  const kinds: readonly [string, (keep: number) => Policy, number?][] = [
    ["streaming", (keep) => streaming({ keep })],
    ["streaming in chunks", (keep) => streaming({ keep }), 256],
    ["h2o", (keep) => h2o({ keep })],
    ["snapkv", (keep) => snapkv({ keep })],
    ["pyramidkv", (keep) => pyramidkv({ keep })],
    ["ragged", (keep) => ragged(Math.max(2, Math.floor(keep / 2)), Math.max(2, keep))],
  ];
  it.each(kinds)("%s: finds the largest keep, and the peak is what it says", async (_, policy, chunk) => {
    const backend = zerosBackend();
    const model = await load(backend);
    const tokens = 2000;
    const options = { model, tokens, maxTokens: 100, ...(chunk ? { chunk } : {}) };
    for (const maxCacheBytes of [380_000, 450_000, 700_123]) {
      const { keep, peakBytes } = await fit({ ...options, maxCacheBytes, policy });
      expect(peakBytes).toBeLessThanOrEqual(maxCacheBytes);
      const request = {
        model,
        prompt: randomIds(tokens, 1),
        maxTokens: 100,
        maxCacheBytes,
        ...(chunk ? { chunk } : {}),
      };
      const { cache } = await generate({ ...request, policy: policy(keep) }).result;
      expect(cache.peakBytes).toBe(peakBytes);
      if (keep < tokens)
        await expect(generate({ ...request, policy: policy(keep + 1) }).result).rejects.toBeInstanceOf(CeilingError);
    }
    expect((await fit({ ...options, maxCacheBytes: 2 ** 30, policy })).keep).toBe(tokens);
  });

  it("stays below what slot positions can tell apart", async () => {
    const small = await loadModel(checkpoint({ context: 512 }).files, { backend: zerosBackend() });
    const { keep } = await fit({
      model: small,
      tokens: 5000,
      chunk: 100,
      maxCacheBytes: 2 ** 30,
      policy: (rows) => streaming({ keep: rows }),
    });
    expect(keep).toBe(412);
  });

  it("finds the least that a policy takes where the prompt is shorter, as snapkv's window may be longer than a question", async () => {
    const model = await load(zerosBackend());
    const { keep, peakBytes } = await fit({
      model,
      tokens: 9,
      maxTokens: 5,
      maxCacheBytes: 2 ** 20,
      policy: (rows) => snapkv({ keep: rows }),
    });
    expect(keep).toBe(33);
    const answer = await generate({
      model,
      policy: snapkv({ keep }),
      prompt: randomIds(9, 1),
      maxTokens: 5,
      maxCacheBytes: peakBytes,
    }).result;
    expect(answer.policy.active).toBe(false);
    expect(answer.cache.peakBytes).toBe(peakBytes);
  });

  it("says why nothing fits", async () => {
    const model = await load(zerosBackend());
    const policy = (keep: number) => snapkv({ keep });
    await expect(fit({ model, tokens: 100, maxCacheBytes: 1000, policy })).rejects.toThrow(CeilingError);
    await expect(fit({ model, tokens: 100_000, maxCacheBytes: 2 ** 30, policy })).rejects.toThrow(
      /100000 tokens; .* reads 16384/,
    );
    await expect(fit({ model, tokens: 20, maxCacheBytes: 1000, policy })).rejects.toThrow(CeilingError);
    await expect(fit({ model, tokens: 20, maxCacheBytes: 2 ** 30, policy: () => snapkv({ keep: 3 }) })).rejects.toThrow(
      /keep is 3; it must be more than/,
    );
    const long = { tokens: 2 ** 40, chunk: 16, policy: (keep: number) => streaming({ keep }) };
    for (const bad of [
      { tokens: 0 },
      { tokens: 1.5 },
      { tokens: Number.MAX_SAFE_INTEGER },
      long,
      { maxCacheBytes: "9" as never },
      { maxCacheBytes: Number.NaN },
      { maxTokens: Number.NaN },
      { chunk: Number.NaN },
    ]) {
      await expect(fit({ model, tokens: 100, maxCacheBytes: 2 ** 30, policy, ...bad })).rejects.toThrow(RequestError);
    }
    const wrong = () => {
      throw new TypeError("a mistake of the caller's");
    };
    await expect(fit({ model, tokens: 100, maxCacheBytes: 2 ** 30, policy: wrong })).rejects.toThrow(TypeError);
  });
});

it("after 200 generations live bytes are those of the weights and the rotation tables", async () => {
  const backend = await cpu({ threads: 1 });
  const model = await load(backend);
  const policies = [...evicting(10), full()];
  await generate({ model, policy: full(), prompt: randomIds(40, 1), maxTokens: 1 }).result;
  const { live } = backend.memory();
  expect(live).toBe(model.weightBytes + ropeBytes(40));
  for (let run = 0; run < 200; run++) {
    const policy = policies[run % policies.length]!;
    await generate({ model, policy, prompt: randomIds(5 + (run % 30), run), maxTokens: 1 + (run % 7) }).result;
  }
  expect(backend.memory().live).toBe(live);
  model.free();
  expect(backend.memory().live).toBe(0);
  await backend.dispose();
}, 120_000);
