import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { full } from "@ziggurat/policy";
import { RequestError, Session } from "@ziggurat/runtime";
import { logProbabilities, logProbabilitiesEach } from "@ziggurat/runtime/evaluate";
import { describe, expect, it } from "vitest";
import { backendNames, evicting, tinyModel } from "./support/models.js";

describe.each(backendNames)("scoreEach on %s", (name) => {
  const ids = randomIds(60, 7);
  const [prompt, following] = [ids.slice(0, 40), ids.slice(40)];

  it("gives what one prefill of the whole text gives, and what each policy's session gives alone", async () => {
    const model = await tinyModel(name);
    const policies = [full(), ...evicting()];
    let index = 0;
    for await (const {
      logProbabilities: scores,
      policy,
      cache,
      promptTokens,
      timings,
      policySeconds,
    } of logProbabilitiesEach({
      model,
      policies,
      prompt,
      ids: following,
    })) {
      const chosen = policies[index++]!;
      const session = new Session({ model, policy: chosen });
      await session.read(prompt);
      const rows = session.rows;
      const wanted =
        index === 1
          ? (await logProbabilities(model, ids)).slice(-following.length)
          : await session.logProbabilities(following);
      session.close();
      expect(scores.length).toBe(following.length);
      scores.forEach(
        (score, i) => void expect(Math.abs(score - wanted[i]!), `${chosen.name}, token ${i}`).toBeLessThan(2e-4),
      );
      expect({ name: policy.name, active: policy.active, promptTokens }).toEqual({
        name: chosen.name,
        active: index > 1,
        promptTokens: 40,
      });
      expect(cache.rows).toEqual(rows);
      expect(cache.peakBytes).toBeGreaterThan(cache.bytes);
      for (const seconds of [timings.prefillSeconds, timings.decodeSeconds, policySeconds])
        expect(seconds).toBeGreaterThanOrEqual(0);
    }
    expect(index).toBe(policies.length);
    model.free();
    expect(model.backend.memory().live).toBe(0);
  });
});

describe("scoreEach", () => {
  const first = async (what: Partial<Parameters<typeof logProbabilitiesEach>[0]>) => {
    const model = await tinyModel("reference", checkpoint({ context: 16 }));
    return logProbabilitiesEach({ model, policies: [full()], prompt: [1, 2, 3], ids: [4], ...what }).next();
  };
  it.each<[string, Partial<Parameters<typeof logProbabilitiesEach>[0]>, RegExp]>([
    ["no policies", { policies: [] }, /there are no policies/],
    ["nothing to score", { ids: [] }, /must have at least one token/],
    ["a token that is none", { ids: [97] }, /token 97 at 0/],
    ["more than the context", { ids: Array(14).fill(1) }, /14 tokens after a prompt of 3 are more than the 16/],
  ])("refuses %s", async (_, change, message) => {
    await expect(first(change)).rejects.toThrow(message);
    await expect(first(change)).rejects.toThrow(RequestError);
  });
  it("can be aborted, and gives everything back", async () => {
    const model = await tinyModel("reference");
    // The tables of cosines stay with the model.
    for await (const _ of logProbabilitiesEach({ model, policies: [full()], prompt: [1, 2], ids: [3] }));
    const before = model.backend.memory().live;
    await expect(
      logProbabilitiesEach({ model, policies: [full()], prompt: [1, 2], ids: [3], signal: AbortSignal.abort() }).next(),
    ).rejects.toThrow(/abort/);
    const scores = logProbabilitiesEach({ model, policies: [full(), full()], prompt: [1, 2], ids: [3] });
    await scores.next();
    await scores.return(undefined);
    expect(model.backend.memory().live).toBe(before);
  });
});
