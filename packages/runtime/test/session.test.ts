import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { h2o } from "@ziggurat/h2o";
import { full, type Policy } from "@ziggurat/policy";
import { type GenerateResult, generate, type Model, RequestError, Session } from "@ziggurat/runtime";
import { streaming } from "@ziggurat/streaming";
import { toBeAllclose } from "@ziggurat/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { evicting, ragged, tinyModel } from "./support/models.js";
import { plainLogits, plainLogProbability } from "./support/plain-llama.js";

expect.extend({ toBeAllclose });

const what = checkpoint();
let model: Model;
beforeAll(async () => {
  model = await tinyModel("cpu", what);
});

const turns = [randomIds(30, 1), randomIds(9, 2), randomIds(17, 3)];

/** Bytes beside weights and rotation tables, which stay. */
const beside = () => model.backend.memory().live - model.weightBytes - (model.backend.memory().labels.rope?.live ?? 0);

async function converse(
  policy: Policy,
  request: { readEvery?: number; stopTokens?: readonly number[]; logits?: boolean } = {},
) {
  const session = new Session({ model, policy });
  const answers: GenerateResult[] = [];
  const logits: Float32Array[] = [];
  for (const prompt of turns) {
    const answer = session.generate({ prompt, maxTokens: 10, kept: true, ...request });
    for await (const piece of answer) if (piece.logits) logits.push(piece.logits);
    answers.push(await answer.result);
  }
  const end = { kept: await session.kept(), rows: session.rows, seen: session.seen };
  session.close();
  return {
    ids: answers.map(({ ids }) => ids),
    evicted: answers.map(({ policy: reported }) => reported.evicted),
    end,
    logits,
    answers,
  };
}

describe("turns", () => {
  it("with the full cache are what one long prompt is, token for token and logit for logit", async () => {
    const { ids, logits, end } = await converse(full(), { logits: true });
    const text: number[] = [];
    const expected: Float64Array[] = [];
    const ends: number[] = [];
    turns.forEach((prompt, turn) => {
      text.push(...prompt);
      ends.push(text.length);
      text.push(...ids[turn]!);
    });
    const all = plainLogits(what, text);
    for (const [turn, at] of ends.entries())
      for (let step = 0; step < ids[turn]!.length; step++) expected.push(all[at - 1 + step]!);
    expect(logits.length).toBe(30);
    logits.forEach((row, step) => expect(row, `token ${step}`).toBeAllclose(expected[step]!, { tolerance: 3e-4 }));
    // The last token of an answer that was cut off is read with the next turn.
    expect(end.seen).toBe(text.length - 1);
    const once = await generate({ model, policy: full(), prompt: text.slice(0, ends[2]), maxTokens: 10 }).result;
    expect(once.ids).toEqual(ids[2]);
  });

  it.each(evicting().map((policy) => [policy.name, policy] as const))(
    "%s: how often ids are read changes nothing later",
    async (_, policy) => {
      const often = await converse(policy, { readEvery: 1 });
      expect(Math.min(...often.evicted)).toBeGreaterThan(0);
      const seldom = await converse(policy, { readEvery: 8 });
      expect({ ...seldom, answers: 0 }).toEqual({ ...often, answers: 0 });
      // An end in the middle of a batch of steps, in the first turn at least.
      const stopTokens = [
        often.ids[0]!.find((id, index) => index > 2 && index < 7 && often.ids[0]!.indexOf(id) === index)!,
      ];
      const stopped = await converse(policy, { readEvery: 1, stopTokens });
      expect(stopped.answers[0]!.finishReason).toBe("stop");
      expect(stopped.ids[0]!.length).toBeLessThan(8);
      const again = await converse(policy, { readEvery: 8, stopTokens });
      expect({ ...again, answers: 0 }).toEqual({ ...stopped, answers: 0 });
    },
  );

  it("chunks and one message are the same with the full cache, in later turns too", async () => {
    const results: unknown[] = [];
    for (const chunk of [undefined, 4]) {
      const session = new Session({ model, policy: full() });
      const ids: unknown[] = [];
      for (const prompt of turns)
        ids.push((await session.generate({ prompt, maxTokens: 6, ...(chunk ? { chunk } : {}) }).result).ids);
      results.push(ids);
      session.close();
    }
    expect(results[1]).toEqual(results[0]);
  });

  it("never stop with slot positions, though the text is longer than the context", async () => {
    const session = new Session({ model, policy: streaming({ keep: 40 }) });
    for (let turn = 0; turn < 12; turn++) {
      const { generatedTokens } = await session.generate({ prompt: randomIds(60, turn), maxTokens: 5 }).result;
      expect(generatedTokens).toBe(5);
    }
    expect(session.seen).toBe(12 * 65 - 1);
    expect(session.seen).toBeGreaterThan(model.facts.contextLength);
    session.close();
  });

  it("tell the context where the text would leave it, and go on with less", async () => {
    const session = new Session({ model, policy: full() });
    await session.read(randomIds(500, 1));
    await expect(session.generate({ prompt: randomIds(20, 2) }).result).rejects.toThrow(
      /20 tokens after 500 read before; .* reads 512/,
    );
    expect((await session.generate({ prompt: randomIds(8, 2) }).result).finishReason).toBe("context");
    session.close();
  });
});

describe("fork", () => {
  it.each(evicting().map((policy) => [policy.name, policy] as const))(
    "%s: goes on as the original does, and says where its rows come from",
    async (_, policy) => {
      const session = new Session({ model, policy });
      await session.read(turns[0]!);
      await session.generate({ prompt: turns[1]!, maxTokens: 5 }).result;
      const { chosenAt } = session.origin;
      expect(chosenAt).toBeGreaterThan(0);
      expect(session.origin.forkedAt).toBeUndefined();
      const forks = [await session.fork(), await session.fork()];
      expect(forks[0]!.origin).toEqual({ chosenAt, forkedAt: session.seen });
      expect(await forks[0]!.kept()).toEqual(await session.kept());
      const [a, b] = await Promise.all(
        forks.map((fork) => fork.generate({ prompt: turns[2]!, maxTokens: 9, kept: true }).result),
      );
      const original = await session.generate({ prompt: turns[2]!, maxTokens: 9, kept: true }).result;
      for (const fork of [a!, b!]) expect([fork.ids, fork.cache.kept]).toEqual([original.ids, original.cache.kept]);
      for (const one of [session, ...forks]) one.close();
    },
  );

  it("of an empty session, and of a fork, is fine", async () => {
    const session = new Session({ model, policy: h2o({ keep: 9 }) });
    const fork = await (await session.fork()).fork();
    expect(fork.seen).toBe(0);
    const { ids } = await fork.generate({ prompt: turns[0]!, maxTokens: 4 }).result;
    expect(ids).toEqual((await session.generate({ prompt: turns[0]!, maxTokens: 4 }).result).ids);
  });
});

describe("score", () => {
  it("gives the log-probability of every token", async () => {
    const session = new Session({ model, policy: full() });
    await session.read(turns[0]!);
    const scores = [
      ...(await session.logProbabilities(turns[1]!)),
      ...(await session.logProbabilities(Int32Array.from(turns[2]!))),
    ];
    const all = plainLogits(what, turns.flat());
    const expected = [...turns[1]!, ...turns[2]!].map((id, index) =>
      plainLogProbability(all[turns[0]!.length - 1 + index]!, id),
    );
    expect(scores).toBeAllclose(expected, { tolerance: 3e-4 });
    // A turn goes on from what was scored.
    const { ids } = await session.generate({ prompt: [5], maxTokens: 6 }).result;
    expect(ids).toEqual(
      (await generate({ model, policy: full(), prompt: [...turns.flat(), 5], maxTokens: 6 }).result).ids,
    );
    session.close();
  });

  it.each(
    [h2o({ keep: 12, recent: 4 }), streaming({ keep: 12 }), ragged(6, 12)].map(
      (policy) => [policy.name, policy] as const,
    ),
  )("%s: is what generate gives to its own tokens, evicting after each as it does", async (_, policy) => {
    const session = new Session({ model, policy });
    await session.read(turns[0]!);
    const fork = await session.fork();
    const answer = generate({ model, policy, prompt: turns[0]!, maxTokens: 15, logits: true, kept: true });
    const expected: number[] = [];
    for await (const { ids, logits } of answer) expected.push(plainLogProbability(logits!, ids[0]!));
    const { ids, cache } = await answer.result;
    expect(await session.logProbabilities(ids)).toBeAllclose(expected, { tolerance: 1e-4 });
    // Generate does not read its last token.
    await fork.logProbabilities(ids.slice(0, -1));
    expect(await fork.kept()).toEqual(cache.kept!.atEnd);
    expect(fork.origin.chosenAt).toBeGreaterThan(turns[0]!.length);
    expect(Math.max(...fork.rows.flat())).toBeLessThan(turns[0]!.length);
    session.close();
    fork.close();
  });

  it("after an answer that was cut off reads its last token first", async () => {
    const session = new Session({ model, policy: full() });
    const { ids } = await session.generate({ prompt: turns[0]!, maxTokens: 3 }).result;
    const scores = await session.logProbabilities([7, 8]);
    const all = plainLogits(what, [...turns[0]!, ...ids, 7, 8]);
    const at = turns[0]!.length + ids.length - 1;
    expect(scores).toBeAllclose([plainLogProbability(all[at]!, 7), plainLogProbability(all[at + 1]!, 8)], {
      tolerance: 3e-4,
    });
    session.close();
  });

  it("needs something before it, and room in the context", async () => {
    const session = new Session({ model, policy: full() });
    await expect(session.logProbabilities([1])).rejects.toThrow(/read at least one token first/);
    await session.read(randomIds(510, 1));
    await expect(session.logProbabilities([1, 2, 3])).rejects.toThrow(
      /3 tokens after 510 read are more than the context/,
    );
    await expect(session.logProbabilities([])).rejects.toThrow(/empty/);
    await expect(session.logProbabilities([97])).rejects.toThrow(/token 97 at 0; .* tokens 0 to 96/);
    expect((await session.logProbabilities([1, 2])).length).toBe(2);
    session.close();
  });

  it("refuses after an answer that ended by itself, whose end was not read", async () => {
    const session = new Session({ model, policy: full() });
    const { ids } = await generate({ model, policy: full(), prompt: turns[0]!, maxTokens: 3 }).result;
    const stopped = await session.generate({ prompt: turns[0]!, maxTokens: 9, stopTokens: [ids[2]!] }).result;
    expect(stopped.finishReason).toBe("stop");
    await expect(session.logProbabilities([1])).rejects.toThrow(/end of turn/);
    await session.read([3]);
    expect((await session.logProbabilities([1])).length).toBe(1);
    session.close();
  });
});

describe("one piece of work at a time", () => {
  it("refuses work while busy and when closed, and forgets nothing", async () => {
    const session = new Session({ model, policy: h2o({ keep: 12 }) });
    await session.read(turns[0]!);
    const answer = session.generate({ prompt: turns[1]!, maxTokens: 20 });
    let refused = 0;
    for await (const _ of answer) {
      const attempts = [
        session.read([1]),
        session.logProbabilities([1]),
        session.fork(),
        session.kept(),
        session.generate({ prompt: [1] }).result,
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toThrow(/at work/);
      expect(() => session.close()).toThrow(RequestError);
      refused++;
    }
    expect(refused).toBeGreaterThan(1);
    expect((await answer.result).ids.length).toBe(20);
    session.close();
    session.close();
    for (const attempt of [
      session.read([1]),
      session.logProbabilities([1]),
      session.fork(),
      session.kept(),
      session.generate({ prompt: [1] }).result,
    ]) {
      await expect(attempt).rejects.toThrow(/closed/);
    }
  });

  it("holds its bytes while open, and none when closed", async () => {
    const before = beside();
    const session = new Session({ model, policy: h2o({ keep: 12 }) });
    await session.generate({ prompt: turns[0]!, maxTokens: 5 }).result;
    const fork = await session.fork();
    await fork.logProbabilities([1, 2, 3]);
    expect(beside()).toBeGreaterThan(before + session.cacheBytes);
    session.close();
    fork.close();
    expect(beside()).toBe(before);
  });
});

describe("leaving early", () => {
  it("goes on from what was written, after `break` and after an abort between tokens", async () => {
    for (const policy of [full(), h2o({ keep: 12 })]) {
      for (const abort of [false, true]) {
        const session = new Session({ model, policy });
        const controller = new AbortController();
        const answer = session.generate({ prompt: turns[0]!, maxTokens: 30, readEvery: 4, signal: controller.signal });
        const ids: number[] = [];
        try {
          for await (const piece of answer) {
            ids.push(...piece.ids);
            if (ids.length < 9) continue;
            if (!abort) break;
            controller.abort(new Error("enough"));
          }
        } catch (error) {
          expect(error).toMatchObject({ message: "enough" });
        }
        await expect(answer.result).rejects.toThrow(abort ? "enough" : /left before it ended/);
        expect(ids.length).toBe(9);
        const whole = await generate({ model, policy, prompt: turns[0]!, maxTokens: 9, kept: true }).result;
        expect(ids).toEqual(whole.ids);
        expect(await session.kept()).toEqual(whole.cache.kept!.atEnd);
        expect((await session.generate({ prompt: [4], maxTokens: 3 }).result).ids.length).toBe(3);
        session.close();
      }
    }
  });

  it("is closed where reading is aborted midway, and stays open where nothing was begun", async () => {
    const before = beside();
    const session = new Session({ model, policy: full() });
    await session.read(turns[0]!);
    await expect(session.read([1], { signal: AbortSignal.abort(new Error("never mind")) })).rejects.toThrow(
      "never mind",
    );
    await expect(
      session.generate({ prompt: [1], signal: AbortSignal.abort(new Error("never mind")) }).result,
    ).rejects.toThrow("never mind");
    await expect(session.logProbabilities([1], { signal: AbortSignal.abort(new Error("never mind")) })).rejects.toThrow(
      "never mind",
    );
    const controller = new AbortController();
    const reading = session.generate({
      ...{ prompt: turns[1]!, signal: controller.signal, chunk: 3 },
      onProgress: (done) => done > 0.5 && controller.abort(new Error("stop reading")),
    });
    expect(session.closed).toBe(false);
    await expect(reading.result).rejects.toThrow("stop reading");
    expect(session.closed).toBe(true);
    await expect(session.kept()).rejects.toThrow(/closed/);
    expect(beside()).toBe(before);
  });
});
