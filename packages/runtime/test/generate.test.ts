import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { cpu } from "@ziggurat/cpu";
import { full, type Policy, perHead, recency, sinksAndRecent } from "@ziggurat/policy";
import {
  type CacheEvent,
  type GenerateRequest,
  type GenerateResult,
  generate,
  generateBatch,
  loadModel,
  type Model,
} from "@ziggurat/runtime";
import { generateEach } from "@ziggurat/runtime/evaluate";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import { beforeAll, describe, expect, it } from "vitest";
import { alternating, backendNames, evicting, ragged, tinyModel } from "./support/models.js";

const prompt = randomIds(50, 1);

/** What must not depend on how ids are read, who else is at work, or threads. */
const essence = ({ ids, finishReason, generatedTokens, policy, cache }: GenerateResult) => ({
  ...{ ids, finishReason, generatedTokens, policy },
  ...{ rows: cache.rows, kept: cache.kept },
});

const rowsOf = (kept: readonly (readonly (readonly number[])[])[]) =>
  kept.map((heads) => heads.map((rows) => rows.length));

type Change = Partial<GenerateRequest> & { readEvery?: number };
const runOn = async (model: Model, policy: Policy, more: Change = {}) =>
  essence(await generate({ model, policy, prompt, maxTokens: 21, kept: true, ...more }).result);

describe("generate", () => {
  let model: Model;
  beforeAll(async () => {
    model = await tinyModel("cpu");
  });
  const run = (policy: Policy, more: Change = {}) => runOn(model, policy, more);

  it.each(evicting().map((policy) => [policy.name, policy] as const))(
    "%s: ids may be read every token or every eight",
    async (_, policy) => {
      const often = await run(policy, { readEvery: 1 });
      expect(often.policy.evicted).toBeGreaterThan(0);
      expect(often.ids.length).toBe(21);
      expect(await run(policy, { readEvery: 8 })).toEqual(often);

      // A token that comes in the middle of a batch of steps ends the answer; what was evicted until then is the same.
      const at = often.ids.findIndex((id, index) => index > 1 && index % 8 === 4 && often.ids.indexOf(id) === index);
      expect(at, `some token of [${often.ids}] comes first in the middle of a batch`).toBeGreaterThan(0);
      const stopTokens = [often.ids[at]!];
      const stopped = await run(policy, { readEvery: 1, stopTokens });
      expect(stopped).toMatchObject({ ids: often.ids.slice(0, at), finishReason: "stop" });
      expect(await run(policy, { readEvery: 8, stopTokens })).toEqual(stopped);
      expect(await run(policy, { readEvery: 5, stopTokens })).toEqual(stopped);
    },
  );

  it.each(evicting().map((policy) => [policy.name, policy] as const))(
    "%s: the rows and evictions reported are those of the kept positions",
    async (_, policy) => {
      const events: CacheEvent[] = [];
      const { cache, policy: reported } = await generate({
        model,
        policy,
        prompt,
        maxTokens: 21,
        kept: true,
        onEvent: (event) => events.push(event),
      }).result;
      const { afterPrefill, atEnd } = cache.kept!;
      expect(rowsOf(afterPrefill)).toEqual(cache.rows);
      for (const rows of atEnd.flat()) {
        expect(rows).toEqual([...rows].sort((a, b) => a - b));
        expect(new Set(rows).size).toBe(rows.length);
        expect(rows.every((row) => row >= 0 && row < prompt.length + 20)).toBe(true);
      }
      const last = events.at(-1)!;
      expect(events[0]).toMatchObject({ type: "read", sequence: 0, seen: prompt.length, rows: cache.rows });
      expect(events.reduce((sum, { evicted }) => sum + evicted, 0)).toBe(reported.evicted);
      const everRead = (prompt.length + 20) * atEnd.flat().length;
      expect(
        everRead -
          rowsOf(atEnd)
            .flat()
            .reduce((a, b) => a + b, 0),
      ).toBe(reported.evicted);
      if (last.type === "step" && last.seen === prompt.length + 20) expect(rowsOf(atEnd)).toEqual(last.rows);
    },
  );

  it("keeps another number of rows in every KV head", async () => {
    const { rows, policy } = await run(ragged(7, 14));
    expect(rows).toEqual([
      [7, 14],
      [7, 14],
      [7, 14],
    ]);
    expect(policy.evicted).toBeGreaterThan(3 * (43 + 36));
  });

  it("sequences that share a policy object give what each gives alone, whoever ends first", async () => {
    for (const policy of evicting()) {
      const requests = [33, 51, 24].map((length, index) => ({
        policy,
        prompt: randomIds(length, length),
        maxTokens: [4, 17, 11][index]!,
      }));
      const alone: ReturnType<typeof essence>[] = [];
      for (const request of requests) alone.push(await run(policy, request));
      // One of them ends in the middle of a batch of steps by a stop token.
      const stopTokens = [alone[1]!.ids[5]!];
      const stopped: ReturnType<typeof essence>[] = [];
      for (const request of requests) stopped.push(await run(policy, { ...request, stopTokens }));
      const together = await generateBatch({
        model,
        requests: requests.map((request) => ({ ...request, stopTokens })),
        kept: true,
      }).result;
      expect(together.map(essence), policy.name).toEqual(stopped);
      expect(stopped.some(({ finishReason }) => finishReason === "stop")).toBe(true);
    }
  });

  it("several policies that share one prefill give what each gives alone", async () => {
    const policies = evicting();
    let index = 0;
    for await (const result of generateEach({ model, policies, prompt, maxTokens: 9 })) {
      const alone = await generate({ model, policy: policies[index]!, prompt, maxTokens: 9 }).result;
      expect(result).toMatchObject({ ids: alone.ids, policy: alone.policy, finishReason: alone.finishReason });
      expect(result.cache).toMatchObject({
        rows: alone.cache.rows,
        bytes: alone.cache.bytes,
        roomBytes: alone.cache.roomBytes,
      });
      index++;
    }
    expect(index).toBe(policies.length);
    expect(model.backend.memory().live).toBe(model.weightBytes + model.backend.memory().labels.rope!.live);
  });

  it("with the full cache, chunks give what one message gives", async () => {
    const whole = await generate({ model, policy: full(), prompt, maxTokens: 12 }).result;
    for (const chunk of [1, 16, 49, 50]) {
      const chunked = await generate({ model, policy: full(), prompt, maxTokens: 12, chunk }).result;
      expect(chunked.ids).toEqual(whole.ids);
      expect(chunked.policy.prefill).toBe(chunk < 50 ? "chunked" : "exact");
    }
  });

  it("reads a text far beyond the context in chunks, with slot positions", async () => {
    const long = randomIds(1500, 9);
    const result = await generate({ model, policy: streaming({ keep: 24 }), prompt: long, maxTokens: 6, chunk: 100 })
      .result;
    expect(result).toMatchObject({
      promptTokens: 1500,
      generatedTokens: 6,
      policy: { active: true, prefill: "chunked" },
    });
    expect(result.cache.rows.flat()).toEqual([24, 24, 24, 24, 24, 24]);
  });

  it("says that a policy was inactive where the prompt is shorter than its budget or its window", async () => {
    const short = randomIds(6, 3);
    const alone = await generate({ model, policy: full(), prompt: short, maxTokens: 4 }).result;
    for (const policy of [snapkv({ keep: 40, window: 32 }), sinksAndRecent({ keep: 20 }), perHead40()]) {
      const result = await generate({ model, policy, prompt: short, maxTokens: 4 }).result;
      expect(result.policy).toMatchObject({ name: policy.name, active: false, evicted: 0 });
      expect(result.ids).toEqual(alone.ids);
    }
  });

  it("ends at the context, and says so", async () => {
    const result = await generate({ model, policy: full(), prompt: randomIds(508, 2), maxTokens: 50 }).result;
    expect(result).toMatchObject({ finishReason: "context", generatedTokens: 5 });
    expect(
      (await generate({ model, policy: full(), prompt: randomIds(512, 2), maxTokens: 50 }).result).generatedTokens,
    ).toBe(1);
  });
});

const perHead40 = (): Policy => ({ ...ragged(40, 50), budget: perHead(40, 50) });

it.each(backendNames)("two at once, and a batch, give what each gives alone, on %s", async (name) => {
  const model = await tinyModel(name);
  const run = (policy: Policy, more: Change) => runOn(model, policy, more);
  const policies = [...evicting(), full(), streaming({ keep: 9 })];
  const requests = policies.map((policy, index) => ({
    ...{ policy, prompt: randomIds(20 + 13 * index, index), maxTokens: 3 + 4 * index },
    ...(index === 2 ? { temperature: 1, seed: 5 } : {}),
  }));
  const alone: ReturnType<typeof essence>[] = [];
  for (const request of requests) alone.push(await run(request.policy, request));
  expect(alone.filter(({ policy }) => policy.active).length).toBe(policies.length - 1);
  expect(new Set(alone.map(({ ids }) => ids.length)).size).toBeGreaterThan(4);

  const atOnce = await Promise.all(requests.map((request) => run(request.policy, request)));
  expect(atOnce).toEqual(alone);
  const pieces: number[][] = requests.map(() => []);
  const batch = generateBatch({ model, requests, kept: true });
  for await (const { sequence, ids } of batch) pieces[sequence]!.push(...ids);
  const together = await batch.result;
  expect(together.map(essence)).toEqual(alone);
  expect(pieces).toEqual(alone.map(({ ids }) => ids));
});

it("keeps the right rows where more kinds of step alternate than a batch remembers", async () => {
  // Sixteen kinds: which of the lower four layers are compressed in a step. The first row and the newest stay.
  const what = checkpoint({ layers: 5 });
  const model = await tinyModel("cpu", what);
  const [keep, period, fed] = [10, 16, 59];
  const policy: Policy = { ...alternating(keep, period), score: recency };
  const kinds = new Set<string>();
  const onEvent = ({ type, rows }: CacheEvent) =>
    type === "step" && kinds.add(rows.map((heads) => (heads[0] === keep ? "compressed" : "left")).join());
  const result = essence(
    await generate({ model, policy, prompt, maxTokens: fed + 1, kept: true, readEvery: 1, onEvent }).result,
  );
  expect(kinds.size).toBeGreaterThan(12);
  const newest = (rows: number[]) => (rows.length > keep ? [0, ...rows.slice(1 - keep)] : rows);
  const expected = Array.from({ length: 5 }, (_, layer) => {
    let rows = newest([...prompt.keys()]);
    for (let position = prompt.length; position < prompt.length + fed; position++) {
      rows.push(position);
      if ((((position + 1) % period) >> layer) % 2 === 0) rows = newest(rows);
    }
    return [rows, rows];
  });
  expect(result.kept!.atEnd).toEqual(expected);
  expect(await runOn(model, policy, { maxTokens: fed + 1, readEvery: 8 })).toEqual(result);
  expect(await runOn(await tinyModel("reference", what), policy, { maxTokens: fed + 1 })).toEqual(result);
});

it("gives the same with one thread and two, and the same as the reference", async () => {
  const what = checkpoint();
  const reference = await tinyModel("reference", what);
  for (const policy of evicting()) {
    const results: unknown[] = [];
    for (const threads of [1, 2]) {
      const backend = await cpu({ threads });
      const model = await loadModel(what.files, { backend, rows: "f32" });
      results.push(essence(await generate({ model, policy, prompt, maxTokens: 16, kept: true }).result));
      await backend.dispose();
    }
    expect(results[1], policy.name).toEqual(results[0]);
    expect(results[0], policy.name).toEqual(
      essence(await generate({ model: reference, policy, prompt, maxTokens: 16, kept: true }).result),
    );
  }
});

it("takes every dtype of rows", async () => {
  for (const rows of ["f16", "bf16"] as const) {
    const [a, b] = [await tinyModel("cpu", checkpoint(), rows), await tinyModel("reference", checkpoint(), rows)];
    const results = await Promise.all(
      [a, b].map(
        (model) =>
          generate({ model, policy: streaming({ keep: 14 }), prompt, maxTokens: 4, kept: true, logits: true }).result,
      ),
    );
    expect(results[0]!.cache).toEqual(results[1]!.cache);
    expect(results[0]!.policy.active).toBe(true);
  }
});
