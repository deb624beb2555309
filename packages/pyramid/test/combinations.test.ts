import { draw, mulberry32, whole } from "@ziggurat/bench-kit/fixtures";
import { heavyHitters } from "@ziggurat/h2o";
import {
  afterPrefill,
  anyOf,
  type Budget,
  blend,
  every,
  first,
  fraction,
  last,
  layerBudgets,
  never,
  none,
  type Policy,
  type Protection,
  perHead,
  pin,
  randomScore,
  recency,
  type Schedule,
  type Scorer,
  uniform,
  whenOver,
} from "@ziggurat/policy";
import { pyramid } from "@ziggurat/pyramid";
import { observationWindow } from "@ziggurat/snapkv";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { expect, test } from "vitest";

// Every budget with every scorer, protection and schedule, through the real cache: parts must not know of one another.

const budgets: Record<string, Budget> = {
  uniform: uniform(10),
  fraction: fraction(0.5),
  perHead: perHead(9, 13),
  pyramid: pyramid(11, { beta: 4 }),
  released: pyramid(11, { rounding: "released" }),
};
const scorers: Record<string, Scorer<string>> = {
  recency,
  random: randomScore(3),
  heavy: heavyHitters(),
  average: observationWindow({ window: 4, kernel: 3, pooling: "average" }),
  max: observationWindow({ window: 4, kernel: 5, reduce: "max" }),
  heavyAndRandom: blend(heavyHitters("max"), randomScore(4)),
  twoWindows: blend(
    observationWindow({ window: 4, kernel: 1 }),
    observationWindow({ window: 4, kernel: 3, pooling: "average" }),
    0.3,
  ),
};
/** With the same rule in plain words, to check against. */
type Told = Protection & { holds(position: number, seen: number): boolean };
const protections: Record<string, Told> = {
  none: { ...none, holds: () => false },
  first: { ...first(3), holds: (p) => p < 3 },
  last: { ...last(4), holds: (p, seen) => p >= seen - 4 },
  pin: { ...pin(5, 9), holds: (p) => p >= 5 && p < 9 },
  anyOf: { ...anyOf(first(2), pin(6, 8), last(4)), holds: (p, seen) => p < 2 || (p >= 6 && p < 8) || p >= seen - 4 },
};
const schedules: Record<string, Schedule> = {
  afterPrefill: afterPrefill(),
  whenOver: whenOver(),
  every: every(3),
  never: never(),
};

const steps = 5;
const heads = { queryHeads: 4, kvHeads: 2, headSize: 4 };
const shapes = [0, 1].map((layer) => ({ layer, kvHeads: heads.kvHeads, headSize: heads.headSize }));

function text(next: () => number, prompt: number) {
  const raw = (tokens: number) =>
    shapes.map(() => ({ q: draw(next, 16 * tokens, 4), k: draw(next, 8 * tokens, 4), v: draw(next, 8 * tokens, 1) }));
  return { prompt, layers: raw(prompt), steps: Array.from({ length: steps }, () => raw(1)) };
}

/**
 * Runs a policy and checks after the prompt and every step: counts as budget and schedule say, protected rows there,
 * nothing back from the dead. Gives the rows evicted.
 */
async function check(
  policy: Policy & { protect: Told },
  { prompt, ...raw }: ReturnType<typeof text>,
  what: string,
): Promise<number> {
  const result = await runPolicy({ policy, backend: reference(), ...heads, ...raw });
  let before: readonly (readonly (readonly number[])[])[] = shapes.map(() => [[], []]);
  const since = shapes.map(() => 0);
  let evicted = 0;
  for (const [at, { kept, outputs }] of [result.prefill, ...result.steps].entries()) {
    const [phase, fed, seen] = [at === 0 ? "prefill" : "decode", at === 0 ? prompt : 1, prompt + at] as const;
    const allowed = layerBudgets(policy, { layers: shapes, seen, protectedRows: policy.protect.count(seen) });
    const arrived = Array.from({ length: fed }, (_, i) => seen - fed + i);
    kept.forEach((layer, index) => {
      since[index]! += fed;
      const rows = layer.map((_, head) => [...before[index]![head]!, ...arrived]);
      const excess = Math.max(...rows.map((head, h) => Math.max(0, head.length - allowed[index]![h]!)));
      const most = Math.max(...rows.map((head) => head.length));
      const fires = policy.schedule({ phase, layer: index, seen, rows: most, excess, sinceCompressed: since[index]! });
      if (fires) since[index] = 0;
      layer.forEach((head, h) => {
        const where = `${policy.name}, ${what}, outcome ${at}, layer ${index}, KV head ${h}`;
        const count = fires ? Math.min(rows[h]!.length, allowed[index]![h]!) : rows[h]!.length;
        evicted += rows[h]!.length - count;
        expect(head.length, where).toBe(count);
        expect(
          head.every((position, i) => i === 0 || position > head[i - 1]!),
          where,
        ).toBe(true);
        expect(
          head.filter((position) => !rows[h]!.includes(position)),
          where,
        ).toEqual([]);
        expect(
          rows[h]!.filter((position) => policy.protect.holds(position, seen) && !head.includes(position)),
          where,
        ).toEqual([]);
      });
      expect(outputs[index]!.every(Number.isFinite), policy.name).toBe(true);
    });
    before = kept;
  }
  return evicted;
}

const combinations = Object.keys(budgets).flatMap((budget) =>
  Object.keys(scorers).flatMap((score) => Object.keys(schedules).map((schedule) => ({ budget, score, schedule }))),
);
const seed = 8;
const common = text(mulberry32(seed), 20);

test.each(combinations)("$budget, $score, $schedule, with every protection", async ({ budget, score, schedule }) => {
  for (const [name, protect] of Object.entries(protections)) {
    const policy = { name, budget: budgets[budget]!, score: scorers[score]!, protect, schedule: schedules[schedule]! };
    const evicted = await check(policy, common, `seed ${seed}`);
    expect(evicted > 0, name).toBe(schedule !== "never");
  }
});

test("protected rows stay and budgets hold for parts drawn at random", async () => {
  const seed = 77;
  const next = mulberry32(seed);
  const pick = <T>(from: readonly T[]): T => from[next() % from.length]!;
  let evicted = 0;
  for (let draw = 0; draw < 150; draw++) {
    const prompt = whole(next, 1, 48);
    const [sinks, recent, start, length] = [
      whole(next, 0, 4),
      whole(next, 0, 6),
      whole(next, 0, prompt),
      whole(next, 1, 5),
    ] as const;
    const protect: Told = {
      ...anyOf(first(sinks), last(recent), pin(start, start + length)),
      holds: (p, seen) => p < sinks || p >= seen - recent || (p >= start && p < start + length),
    };
    const keep = sinks + recent + length + whole(next, 0, 12);
    const window = whole(next, 1, 10);
    const kernel = 1 + 2 * whole(next, 0, 4);
    const policy = {
      name: `draw ${draw}`,
      budget: pick([
        uniform(keep),
        perHead(keep, keep + 3),
        pyramid(keep, { beta: whole(next, 1, 30) }),
        pyramid(keep, { rounding: "released" }),
        fraction(0.3),
      ]),
      score: pick([
        recency,
        randomScore(draw),
        heavyHitters(),
        observationWindow({ window, kernel }),
        observationWindow({ window, kernel, pooling: "average" }),
      ]),
      protect,
      schedule: pick([afterPrefill(), whenOver(), every(whole(next, 1, 4))]),
    };
    evicted += await check(
      policy,
      text(next, prompt),
      `seed ${seed}, ${JSON.stringify({ prompt, sinks, recent, start, length, keep, window, kernel })}`,
    );
  }
  expect(evicted).toBeGreaterThan(1000);
});
