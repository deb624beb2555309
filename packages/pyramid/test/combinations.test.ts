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
import { draw, mulberry32 } from "../../testing/fixtures/vectors.js";

// Every budget with every scorer, protection and schedule, through the real cache: parts must not know of one another.

const budgets: Record<string, Budget> = {
  uniform: uniform(10),
  fraction: fraction(0.5),
  perHead: perHead(9, 13),
  pyramid: pyramid(11, { beta: 4 }),
  released: pyramid(11, { rounding: "released" }),
};
const scorers: Record<string, Scorer> = {
  recency,
  random: randomScore(3),
  heavy: heavyHitters(),
  average: observationWindow({ window: 4, kernel: 3, pooling: "average" }),
  max: observationWindow({ window: 4, kernel: 5, reduce: "max" }),
  heavyAndRandom: blend(heavyHitters("max"), randomScore(4)),
  twoWindows: blend(observationWindow({ window: 4, kernel: 1 }), observationWindow({ window: 4, kernel: 3, pooling: "average" }), 0.3),
};
const protections: Record<string, Protection & { holds(position: number, seen: number): boolean }> = {
  none: { ...none, holds: () => false },
  first: { ...first(3), holds: (p) => p < 3 },
  last: { ...last(4), holds: (p, seen) => p >= seen - 4 },
  pin: { ...pin(5, 9), holds: (p) => p >= 5 && p < 9 },
  anyOf: { ...anyOf(first(2), pin(6, 8), last(4)), holds: (p, seen) => p < 2 || (p >= 6 && p < 8) || p >= seen - 4 },
};
const schedules: Record<string, Schedule> = { afterPrefill: afterPrefill(), whenOver: whenOver(), every: every(3), never: never() };

const [prompt, steps, seed] = [20, 5, 8] as const;
const heads = { queryHeads: 4, kvHeads: 2, headSize: 4 };
const next = mulberry32(seed);
const raw = (tokens: number) => ({ q: draw(next, 16 * tokens, 4), k: draw(next, 8 * tokens, 4), v: draw(next, 8 * tokens, 1) });
const layers = [raw(prompt), raw(prompt)];
const later = Array.from({ length: steps }, () => [raw(1), raw(1)]);
const shapes = layers.map(() => ({ kind: "global", kvHeads: heads.kvHeads, headSize: heads.headSize }) as const);

const combinations = Object.keys(budgets).flatMap((budget) =>
  Object.keys(scorers).flatMap((score) => Object.keys(schedules).map((schedule) => ({ budget, score, schedule }))),
);

test.each(combinations)("$budget, $score, $schedule, with every protection", async ({ budget, score, schedule }) => {
  for (const [protectName, protect] of Object.entries(protections)) {
    const name = `${budget}/${score}/${protectName}/${schedule}`;
    const policy: Policy = { name, budget: budgets[budget]!, score: scorers[score]!, protect, schedule: schedules[schedule]! };
    const result = await runPolicy({ policy, backend: reference(), ...heads, layers, steps: later });
    let before: readonly (readonly (readonly number[])[])[] = shapes.map(() => [[], []]);
    const since = [0, 0];
    let evicted = 0;
    for (const [at, { kept, outputs }] of [result.prefill, ...result.steps].entries()) {
      const fed = at === 0 ? prompt : 1;
      const seen = prompt + at;
      const allowed = layerBudgets(policy, { layers: shapes, seen, protectedRows: protect.count(seen) });
      kept.forEach((layer, index) => {
        since[index]! += fed;
        const arrived = Array.from({ length: fed }, (_, i) => seen - fed + i);
        const rows = layer.map((_, head) => [...before[index]![head]!, ...arrived]);
        const excess = Math.max(...rows.map((head, h) => Math.max(0, head.length - allowed[index]![h]!)));
        const most = Math.max(...rows.map((head) => head.length));
        const fires = policy.schedule({
          phase: at === 0 ? "prefill" : "decode",
          layer: index,
          seen,
          rows: most,
          excess,
          sinceCompressed: since[index]!,
        });
        if (fires) since[index] = 0;
        layer.forEach((head, h) => {
          const where = `${name}, outcome ${at}, layer ${index}, KV head ${h}, seed ${seed}`;
          const count = fires ? Math.min(rows[h]!.length, allowed[index]![h]!) : rows[h]!.length;
          expect(head.length, where).toBe(count);
          evicted += rows[h]!.length - count;
          expect(
            head.every((position, i) => i === 0 || position > head[i - 1]!),
            where,
          ).toBe(true);
          expect(
            head.every((position) => rows[h]!.includes(position)),
            where,
          ).toBe(true);
          const held = rows[h]!.filter((position) => protect.holds(position, seen));
          expect(
            held.filter((position) => !head.includes(position)),
            where,
          ).toEqual([]);
        });
        expect(outputs[index]!.every(Number.isFinite), name).toBe(true);
      });
      before = kept;
    }
    expect(evicted > 0, name).toBe(schedule !== "never");
  }
});
