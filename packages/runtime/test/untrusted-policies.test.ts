import { randomIds } from "@ziggurat/bench-kit/fixtures";
import { full, none, type Policy, PolicyError, recency, type Step, sinksAndRecent, uniform } from "@ziggurat/policy";
import { generate, generateBatch, type Model, Session } from "@ziggurat/runtime";
import { reference, type Tensor } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { live, settled } from "./support/settled.js";

// Policies that answer differently from call to call, change what they are given, or return nonsense: each ends its own
// request with a PolicyError, and a generation beside it and after it is not affected.

const prompt = randomIds(40, 3);
const base: Policy = {
  name: "evil",
  budget: uniform(12),
  score: recency,
  protect: none,
  schedule: ({ phase }) => phase === "prefill",
};
/** Calls `answer` with the number of the call. */
const counted = <A, R>(answer: (call: number, argument: A) => R) => {
  let calls = 0;
  return (argument: A) => answer(calls++, argument);
};
const layersOf = (rows: () => unknown): Policy["budget"] => any(({ layers }: { layers: [] }) => layers.map(rows));

/** Each makes a new policy, since some count their calls. */
const impure: readonly [string, () => Policy][] = [
  [
    "a budget that is larger in the run",
    () => ({ ...base, budget: counted((call, { layers }) => layers.map(() => (call < 8 ? 12 : 300))) }),
  ],
  [
    "a budget that is smaller in the run",
    () => ({ ...base, budget: counted((call, { layers }) => layers.map(() => (call < 8 ? 12 : 3))) }),
  ],
  ["a budget that grows", () => ({ ...base, budget: counted((call, { layers }) => layers.map(() => 8 + call)) })],
  [
    "a budget that gives other heads more in the run",
    () => ({ ...base, budget: counted((call, { layers }) => layers.map(() => (call < 8 ? [9, 14] : [14, 9]))) }),
  ],
  [
    "a schedule that compresses in the plan only",
    () => ({ ...base, schedule: counted((call, { phase }) => call < 20 && phase === "prefill") }),
  ],
  [
    "a schedule that compresses in the run only",
    () => ({ ...base, schedule: counted((call, { phase }: Step) => call > 27 || phase === "prefill") }),
  ],
  ["a schedule that goes by its calls", () => ({ ...base, schedule: counted((call) => call % 5 === 1) })],
];

const wrong: readonly [string, Policy, RegExp][] = [
  ["a count of NaN", { ...base, protect: { ...none, count: () => Number.NaN } }, /protect.count is NaN/],
  ["a count below 0", { ...base, protect: { ...none, count: () => -1 } }, /protect.count is -1/],
  ["a count in a text", { ...base, protect: { ...none, count: () => any("9") } }, /protect.count is "9"/],
  ["a count that is a promise", { ...base, protect: { ...none, count: any(async () => 0) } }, /count is a promise/],
  [
    "a schedule that says nothing",
    { ...base, schedule: any(() => undefined) },
    /the schedule is undefined for layer 0/,
  ],
  ["a schedule that is a promise", { ...base, schedule: any(async () => false) }, /the schedule is a promise/],
  ["a schedule that throws", { ...base, schedule: any(() => raise()) }, /evil: the schedule threw Error: mine/],
  ["a budget with holes", { ...base, budget: ({ layers }) => new Array(layers.length) }, /may keep undefined rows/],
  ["a budget that is a promise", { ...base, budget: any(async () => [1]) }, /the budget is a promise/],
  ["a budget of infinitely many rows", { ...base, budget: layersOf(() => Number.POSITIVE_INFINITY) }, /keep Infinity/],
  ["a budget of too few heads", { ...base, budget: layersOf(() => new Array(1)) }, /has 1 budgets/],
  [
    "a budget whose entries throw",
    {
      ...base,
      budget: ({ layers }) => Object.defineProperty(new Array(layers.length), 0, { get: () => raise() }),
    },
    /evil: the budget threw Error: mine/,
  ],
  ["a score that is a promise", { ...base, score: { score: any(async () => 0) } }, /the score is object/],
  [
    "a score made from another view",
    { ...base, score: { score: keepsTheFirst() } },
    /the score is made from another view/,
  ],
  ["a score of operations without end", { ...base, score: { score: deep(20_000) } }, /by more than 1024 operations/],
  [
    "a column of operations without end",
    { ...base, score: { ...recency, columns: ["a"], observe: (view) => ({ a: deep(20_000)(view) }) } },
    /column "a" is made by more than 1024 operations/,
  ],
  [
    "a mask of operations without end",
    { ...base, protect: { ...none, mask: deep(20_000) } },
    /the mask of protected rows is made by more than 1024 operations/,
  ],
  [
    "columns that are no object",
    { ...base, score: { ...recency, columns: ["a"], observe: () => any(0) } },
    /observe gave 0; it must be an object of tensors: "a"/,
  ],
  [
    "a column that it did not declare",
    { ...base, score: { ...recency, columns: ["a"], observe: ({ positions }) => ({ a: positions, b: positions }) } },
    /observe gave the column "b"/,
  ],
  ["columns without end", { ...base, score: { ...recency, columns: any({ length: 5e7 }) } }, /must be a list of names/],
  [
    "a name that throws",
    Object.defineProperty({ ...base }, "name", { get: () => raise() }),
    /reading the policy threw/,
  ],
  [
    "a list that it empties",
    { ...base, budget: any(({ layers }: { layers: number[] }) => [layers.pop()]) },
    /budget threw/,
  ],
  [
    "a layer that it changes",
    {
      ...base,
      budget: any(({ layers }: { layers: { headSize: number }[] }) => layers.map((one) => (one.headSize = 1))),
    },
    /evil: the budget threw TypeError/,
  ],
  [
    "a view that it changes",
    { ...base, score: { score: (view) => Object.assign(view, { keys: view.values }).positions } },
    /evil: the score threw TypeError/,
  ],
  [
    "a shape that it changes",
    {
      ...base,
      score: {
        score({ positions }) {
          any<number[]>(positions.shape)[1] = 1;
          return positions;
        },
      },
    },
    /evil: the score threw TypeError/,
  ],
];
function any<T = never>(value: unknown): T {
  return value as T;
}
function raise(): never {
  throw new Error("mine");
}
function deep(operations: number) {
  return ({ positions }: { positions: Tensor }) => {
    let deepened = positions;
    for (let i = 0; i < operations; i++) deepened = deepened.add(1);
    return deepened;
  };
}
function keepsTheFirst() {
  let first: Tensor | undefined;
  return ({ positions }: { positions: Tensor }) => (first ??= positions);
}

const answer = async (model: Model, policy: Policy) =>
  (await generate({ model, policy, prompt, maxTokens: 8, ignoreEnd: true }).result).ids;

describe("a policy that is not pure", () => {
  it.each(impure)("%s: is a PolicyError of its own request", async (_, make) => {
    const { model, held } = await settled(reference());
    const good = await answer(model, sinksAndRecent({ keep: 14 }));
    const [beside, evil] = await Promise.allSettled([
      answer(model, sinksAndRecent({ keep: 14 })),
      answer(model, make()),
    ]);
    expect(evil).toMatchObject({ status: "rejected" });
    const { reason } = evil as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(PolicyError);
    expect(reason.message).toMatch(/^evil: the budget or the schedule answered differently after \d+ tokens/);
    expect(beside).toEqual({ status: "fulfilled", value: good });
    expect(await answer(model, sinksAndRecent({ keep: 14 }))).toEqual(good);
    expect(live(model)).toEqual(held);
    const requests = [full(), make()].map((policy) => ({ policy, prompt, maxTokens: 8, ignoreEnd: true }));
    await expect(generateBatch({ model, requests }).result).rejects.toThrow(/^evil: /);
    expect(live(model)).toEqual(held);
  });
});

describe("a policy that returns or does something wrong", () => {
  it.each(wrong)("%s: is a PolicyError, and nothing else changes", async (_, policy, message) => {
    const { model, held } = await settled(reference());
    const good = await answer(model, full());
    const attempt = async () => answer(model, policy);
    // The view of the first call is that of the plan's first layer: the second layer shows it.
    await expect(attempt()).rejects.toThrow(message);
    await expect(attempt()).rejects.toBeInstanceOf(PolicyError);
    expect(await answer(model, full())).toEqual(good);
    expect(live(model)).toEqual(held);
  });

  it("may change while it is at work: what was read first counts", async () => {
    const { model } = await settled(reference());
    const policy = { ...base, positions: "text" as "text" | "slot", budget: uniform(12) };
    const good = await answer(model, { ...policy });
    const generation = generate({ model, policy, prompt, maxTokens: 8, ignoreEnd: true });
    const ids: number[] = [];
    for await (const piece of generation) {
      ids.push(...piece.ids);
      policy.positions = "slot";
      policy.budget = uniform(3);
    }
    expect(ids).toEqual(good);
  });

  it("leaves a session open if the turn was refused before work started", async () => {
    const { model } = await settled(reference());
    let wild = false;
    const session = new Session({
      model,
      policy: { ...base, budget: ({ layers }) => layers.map(() => (wild ? Number.NaN : 12)) },
    });
    await session.read(prompt);
    wild = true;
    await expect(session.read(prompt)).rejects.toThrow(/may keep NaN rows/);
    expect(session.closed).toBe(false);
    wild = false;
    await session.read(prompt);
    expect(session.seen).toBe(2 * prompt.length);
    session.close();
  });
});
