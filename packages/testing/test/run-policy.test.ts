import { CacheError } from "@ziggurat/cache";
import { h2o } from "@ziggurat/h2o";
import { every, full, last, none, type Policy, PolicyError, perHead, recency, whenOver } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import { type Backend, type Kernel, OpError, type OpName, reference, type Slice } from "@ziggurat/tensor";
import { ConformanceError, type PolicyTurn, type RawLayer, type RunPolicyOptions, runPolicy } from "@ziggurat/testing";
import { describe, expect, it } from "vitest";
import { checkRun } from "../src/plain-cache.js";
import { randomFrom } from "../src/random.js";

const seed = 4;
const sizes = { queryHeads: 4, kvHeads: 2, headSize: 8 };
const random = randomFrom(seed);
const raw = (tokens: number): RawLayer => ({
  q: Float32Array.from(random.normal(sizes.queryHeads * tokens * sizes.headSize, 2)),
  k: Float32Array.from(random.normal(sizes.kvHeads * tokens * sizes.headSize, 1.5)),
  v: Float32Array.from(random.normal(sizes.kvHeads * tokens * sizes.headSize)),
});
const tokens = 40;
const layers = [raw(tokens), raw(tokens)];
const steps = Array.from({ length: 7 }, () => [raw(1), raw(1)]);
const ropeTheta = 10_000;
const message = (count: number) => [raw(count), raw(count)];
/** A second message with steps, a third that is read in two chunks, and steps without a message. */
const turns: readonly PolicyTurn[] = [
  { layers: message(21), steps: [message(1), message(1)] },
  { layers: message(6) },
  { layers: message(9) },
  { steps: [message(1), message(1), message(1)] },
];
const given = { ...sizes, layers, steps, turns, ropeTheta, tile: 16 };

const ragged: Policy = {
  name: "ragged",
  budget: perHead(9, 15),
  score: recency,
  protect: last(3),
  schedule: whenOver(),
};
const pooled: Policy = {
  ...snapkv({ keep: 14, window: 4, kernel: 5, pooling: "average" }),
  name: "pooled",
  schedule: whenOver(),
};
const inBursts: Policy = { ...h2o({ keep: 12, recent: 4 }), name: "in bursts", schedule: every(3) };
/**
 * Reads rotated keys, at decode steps too: a key is worth its first number after rotation, which its position decides.
 */
const byKeys: Policy = {
  ...ragged,
  name: "by keys",
  score: { score: ({ keys }) => keys.mul(keys.sub(0.5)).sum("size").add(keys.max("size")) },
};
const policies = [
  ragged,
  byKeys,
  { ...byKeys, name: "by keys, slots", positions: "slot" as const },
  { ...snapkv({ keep: 14, window: 4, kernel: 3 }), name: "window in slots", positions: "slot" as const },
  pooled,
  inBursts,
  streaming({ keep: 10, sinks: 2 }),
  h2o({ keep: 12 }),
  pyramidkv({ keep: 14, window: 4, kernel: 3, beta: 4 }),
];

/** Runs a policy, perhaps other than what is held against. */
async function check(policy: Policy, options: Partial<RunPolicyOptions> = {}, claimed: Policy = policy): Promise<void> {
  const result = await runPolicy({ policy, backend: reference(), ...given, ...options });
  await checkRun({ ...given, policy: claimed, result });
}

describe("runPolicy", () => {
  it.each(policies.map((policy) => [policy.name, policy] as const))(
    "%s: holds what a plain cache holds, in tiles of any size",
    async (_, policy) => {
      for (const tile of [1, 7, 64]) await check(policy, { tile });
      await check(policy, { fork: true });
      const backend = reference();
      const { prefill, steps: after } = await runPolicy({ policy, backend, ...given });
      expect(Math.min(...after.map(({ kept }) => kept.flat(2).length))).toBeLessThan(
        prefill.kept.flat().length * tokens,
      );
      expect(backend.memory().live).toBe(0);
    },
  );

  it("takes keys that are rotated already", async () => {
    const turn = (part: RawLayer, first: number, count: number): RawLayer => {
      const rotate = (numbers: Float32Array) =>
        numbers.map((value, index) => {
          const j = index % 8;
          const position = first + (Math.floor(index / 8) % count);
          const angle = position * ropeTheta ** (-(j % 4) / 4);
          const partner = j < 4 ? -numbers[index + 4]! : numbers[index - 4]!;
          return value * Math.cos(angle) + partner * Math.sin(angle);
        });
      return { q: rotate(part.q), k: rotate(part.k), v: part.v };
    };
    const { ropeTheta: _, turns: __, ...unturned } = given;
    const turned = {
      layers: layers.map((part) => turn(part, 0, tokens)),
      steps: steps.map((parts, step) => parts.map((part) => turn(part, tokens + step, 1))),
    };
    const options = { policy: h2o({ keep: 12 }), backend: reference() };
    const inside = await runPolicy({ ...options, ...unturned, ropeTheta });
    const outside = await runPolicy({ ...options, ...unturned, ...turned });
    expect(outside.prefill.kept).toEqual(inside.prefill.kept);
    expect(outside.steps.map(({ kept }) => kept)).toEqual(inside.steps.map(({ kept }) => kept));
  });

  it("refuses tensors of the wrong size, and slot positions without theta", async () => {
    const bad: readonly [Partial<RunPolicyOptions>, RegExp][] = [
      [{ layers: [] }, /q of layer 0 has 0 numbers; it must be \[4, tokens, 8\]/],
      [{ layers: [{ ...layers[0]!, q: new Float32Array(33) }] }, /q of layer 0 has 33/],
      [
        { layers: [layers[0]!, { ...layers[1]!, k: new Float32Array(5) }] },
        /k of layer 1 has 5 numbers; it must be \[2, 40, 8\]/,
      ],
      [{ steps: [[raw(1)]] }, /step 0 has 1 layers; the prompt has 2/],
      [{ steps: [[raw(1), raw(2)]] }, /q of layer 1 has 64/],
      [{ turns: [{ layers: [raw(3)] }] }, /a message has 1 layers; the prompt has 2/],
      [{ turns: [{ steps: [[raw(1)]] }] }, /step 0 has 1 layers; the prompt has 2/],
      [{ tile: 0 }, /tile is 0/],
      [{ policy: streaming({ keep: 9 }), ropeTheta: undefined as never }, /slot positions need unrotated rows/],
    ];
    for (const [change, message] of bad) {
      const backend = reference();
      const attempt = runPolicy({ policy: full(), backend, ...given, ...change });
      await expect(attempt).rejects.toThrow(message);
      await expect(attempt).rejects.toBeInstanceOf(CacheError);
      expect(backend.memory().live).toBe(0);
    }
    await expect(runPolicy({ policy: {} as never, backend: reference(), ...given })).rejects.toBeInstanceOf(
      PolicyError,
    );
  });
});

type Loose = Readonly<Record<string, unknown>>;

/** The reference with one op that does something else; undefined leaves it out. */
function faulty(op: OpName, twist: (spec: Loose, operands: Loose) => readonly [Loose, Loose] | undefined): Backend {
  const backend = reference();
  return {
    ...backend,
    dispatch(kernel, operands) {
      if (kernel.op !== op) return backend.dispatch(kernel, operands);
      const made = twist(kernel.spec as unknown as Loose, operands as unknown as Loose);
      if (made) backend.dispatch({ op, spec: made[0] } as unknown as Kernel<typeof op>, made[1] as typeof operands);
    },
  };
}

const unrotated = ({ rotate: _, ...spec }: Loose, { table: __, ...operands }: Loose) => [spec, operands] as const;
const flip = (flag: string) => (spec: Loose, operands: Loose) =>
  [{ ...spec, [flag]: spec[flag] !== true }, operands] as const;
const faults: readonly [string, Policy, Backend][] = [
  [
    "scores are taken from another tensor",
    h2o({ keep: 12 }),
    faulty("topk", (spec, { scores, ...rest }) => [{ ...spec }, { ...rest, scores: rest.positions }]),
  ],
  ["columns are not stored", h2o({ keep: 12 }), faulty("store", () => undefined)],
  [
    "columns are stored in the wrong plane",
    inBursts,
    faulty("store", (spec, operands) => [spec, { ...operands, target: { ...(operands.target as object), offset: 0 } }]),
  ],
  ["every query is watched", pooled, faulty("watch", (spec, operands) => [{ ...spec, from: 0 }, operands])],
  ["nothing is watched", h2o({ keep: 12 }), faulty("watch", () => undefined)],
  ["sums of attention are not cleared", pooled, faulty("fill", () => undefined)],
  ["nothing is evicted", ragged, faulty("evict", () => undefined)],
  ["rows lose their order where neighbours count", pooled, faulty("evict", flip("ordered"))],
  ["ranks are not lowered", streaming({ keep: 10 }), faulty("evict", flip("ranks"))],
  ["ranks are not renumbered", streaming({ keep: 10 }), faulty("gather", flip("ranks"))],
  [
    "values stay where they were",
    ragged,
    faulty("evict", (spec, operands) => [spec, { ...operands, values: operands.keys }]),
  ],
  ["keys lie unrotated", h2o({ keep: 12 }), faulty("rope", flip("keys"))],
  ["positions stand still", ragged, faulty("advance", (spec, operands) => [{ ...spec, by: 2 }, operands])],
  ["keys are read unrotated", streaming({ keep: 10 }), faulty("decodeAttention", flip("slot"))],
  ["rows kept from before are not rotated for a later message", streaming({ keep: 10 }), faulty("gather", unrotated)],
  [
    "a message is rotated by its positions in the text, where ranks count",
    streaming({ keep: 10 }),
    faulty("rope", (spec, { base, ...operands }) => {
      // In a prefill's tables, `seen` follows `offset`, `length` and `keep`.
      const { buffer, offset } = base as Slice;
      const moved = (spec.tokens as number) > 1 ? 4 * 2 * (spec.kvHeads as number) : 0;
      return [spec, { ...operands, base: { buffer, offset: offset + moved } }];
    }),
  ],
  ["keys that a scorer reads lie unrotated", { ...byKeys, positions: "slot" }, faulty("load", unrotated)],
];

describe("testPolicy's plain cache catches", () => {
  // These two run out of their region, which the reference notices first.
  const outside = ["nothing is evicted", "positions stand still"];
  it.each(faults)("a cache in which %s", async (name, policy, backend) => {
    const error: unknown = await check(policy, { backend }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(outside.includes(name) ? OpError : ConformanceError);
  });

  const claimed = h2o({ keep: 12, recent: 4 });
  const lies: readonly [string, Policy, Policy, RegExp][] = [
    [
      "another budget",
      { ...claimed, budget: ({ layers: all }) => all.map(() => 13) },
      claimed,
      /kept 13 rows of 40; the schedule and the budget, 12, say 12/,
    ],
    ["a budget of one head for all", ragged, { ...ragged, budget: perHead(9, 14) }, /KV head 1: kept 15 rows/],
    [
      "a schedule that misses a step",
      { ...claimed, schedule: (step) => whenOver()(step) && step.seen !== 43 },
      claimed,
      /step 3, layer 0: KV head 0: kept 13 rows/,
    ],
    [
      "a score turned round",
      { ...claimed, score: { ...claimed.score, score: (view) => claimed.score.score(view).neg() } },
      claimed,
      /evicted \d+ of score/,
    ],
    [
      "rows that were promised to stay",
      { ...claimed, protect: none },
      { ...claimed, protect: last(8) },
      /evicted \d+, which is protected|evicted \d+ of score Infinity/,
    ],
    ["another watch", { ...claimed, score: { ...claimed.score, watch: 5 } }, claimed, /evicted \d+ of score/],
    [
      "positions in the text for slots",
      { ...streaming({ keep: 10 }), positions: "text" },
      streaming({ keep: 10 }),
      /attention gave/,
    ],
  ];
  it.each(lies)("a run with %s", async (_, ran, policy, message) => {
    const attempt = check(ran, {}, policy);
    await expect(attempt).rejects.toBeInstanceOf(ConformanceError);
    await expect(attempt).rejects.toThrow(message);
  });

  it("a mask that protects more rows than its count says", async () => {
    const policy = { ...claimed, protect: { count: () => 2, mask: last(8).mask } };
    await expect(check(policy)).rejects.toThrow(/8 rows are protected; protect.count says 2 at most/);
  });

  it("a policy whose answers depend on what happened before: a recorded step differs from a fresh one", async () => {
    const make = (): Policy => {
      let calls = 0;
      return { ...claimed, score: { score: ({ positions }) => positions.hash(calls++) } };
    };
    const fresh = await runPolicy({ policy: make(), backend: reference(), ...given });
    const replayed = await runPolicy({ policy: make(), backend: reference(), ...given, replay: true });
    expect(replayed).not.toEqual(fresh);
    await expect(check(make())).rejects.toThrow(/evicted \d+ of score/);
  });
});
