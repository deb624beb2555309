import {
  anyOf,
  blend,
  first,
  type LayerView,
  last,
  none,
  type Policy,
  type Protection,
  pin,
  randomScore,
  ranking,
  recency,
  type Scorer,
} from "@ziggurat/policy";
import type { Tensor } from "@ziggurat/tensor";
import { evaluateScorer as evaluate, type ScorerRows as Rows } from "@ziggurat/testing";
import { expect, test } from "vitest";

// Two KV heads that hold different rows of a text of 30 tokens, out of order, as an arena may.
const positions = [
  [0, 1, 2, 5, 29, 12, 13, 14, 20, 28],
  [29, 3, 7, 8, 27],
];
const rows: Rows = { positions };
const one = async <C extends string = never>(build: (view: LayerView<C>) => Tensor, given: Rows = rows) =>
  (await evaluate<C>((view) => [build(view)], given))[0]!;
const kept = async (protection: Protection, given: Rows = rows) =>
  (await one(protection.mask, given)).map((mask, head) => given.positions[head]!.filter((_, row) => mask[row] === 1));

test("protections mask the rows that they name, whatever else a head holds", async () => {
  expect(await kept(none)).toEqual([[], []]);
  expect(await kept(first(3))).toEqual([[0, 1, 2], []]);
  expect(await kept(last(2))).toEqual([[29, 28], [29]]);
  expect(await kept(pin(5, 14))).toEqual([
    [5, 12, 13],
    [7, 8],
  ]);
  expect(await kept(anyOf(first(1), last(1), pin(12, 15), pin(7, 8)))).toEqual([
    [0, 29, 12, 13, 14],
    [29, 7],
  ]);
  expect(await kept(first(0))).toEqual([[], []]);
  expect(await kept(last(0))).toEqual([[], []]);
});

test("the newest tokens are counted from what was read, also where they were evicted", async () => {
  expect(
    await kept(last(4), {
      positions: [
        [0, 1, 2, 33],
        [0, 30, 31, 5],
      ],
      newest: 33,
    }),
  ).toEqual([[33], [30, 31]]);
});

test("ranking gives protected rows Infinity and others their score", async () => {
  expect(await one((view) => ranking(recency.score(view), first(2).mask(view)), { positions: [[0, 1, 2, 9]] })).toEqual(
    [[Infinity, Infinity, 2, 9]],
  );
});

test("random scores stay in [0, 1), follow the position, and differ by head, layer and seed", async () => {
  const given: Rows = {
    positions: [
      [4, 9, 2, 7],
      [9, 4, 7, 2],
    ],
  };
  const at = (seed: number, layer: number) => one(randomScore(seed).score, { ...given, layer });
  const [a, again, layer1, seed1] = [await at(7, 0), await at(7, 0), await at(7, 1), await at(8, 0)];
  expect(a).toEqual(again);
  const all = [...a.flat(), ...layer1.flat(), ...seed1.flat()];
  expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...all)).toBeLessThan(1);
  expect(new Set(all).size).toBe(all.length);
  // The score belongs to the position, not to the row.
  const swapped = await one(randomScore(7).score, {
    positions: [
      [9, 4, 7, 2],
      [4, 9, 2, 7],
    ],
  });
  expect(swapped).toEqual([
    [a[0]![1], a[0]![0], a[0]![3], a[0]![2]],
    [a[1]![1], a[1]![0], a[1]![3], a[1]![2]],
  ]);
});

test("random scores of neighbouring layers and seeds have nothing to do with each other", async () => {
  const text = [Array.from({ length: 400 }, (_, i) => i), Array.from({ length: 400 }, (_, i) => i)];
  const draws: number[][] = [];
  for (const seed of [0, 1])
    for (const layer of [0, 1, 2]) draws.push(...(await one(randomScore(seed).score, { positions: text, layer })));
  for (const [i, a] of draws.entries()) {
    for (const b of draws.slice(i + 1)) {
      const covariance = a.reduce((sum, x, j) => sum + (x - 0.5) * (b[j]! - 0.5), 0) / a.length;
      // Five standard deviations of a correlation of 400 independent pairs.
      expect(Math.abs(covariance * 12)).toBeLessThan(0.25);
    }
  }
});

test("blend weighs two scorers and gives each its own columns", async () => {
  const counting = (by: number): Scorer<"c"> => ({
    columns: ["c"],
    observe: ({ columns: { c } }) => ({ c: c.add(by) }),
    score: ({ columns: { c } }) => c,
  });
  const mixed = blend(counting(1), counting(-3), 0.25);
  expect(mixed.columns).toEqual(["a.c", "b.c"]);
  const given: Rows = { positions: [[0, 1]], columns: { "a.c": [[10, 20]], "b.c": [[100, 200]] } };
  const observed = await evaluate<"a.c" | "b.c">((view) => {
    const { "a.c": a, "b.c": b } = mixed.observe!(view);
    return [a, b];
  }, given);
  expect(observed).toEqual([[[11, 21]], [[97, 197]]]);
  expect(await one(mixed.score, given)).toEqual([[0.75 * 10 + 25, 0.75 * 20 + 50]]);
});

test("blends of blends keep every scorer's columns apart", async () => {
  const adding = (by: number): Scorer<"c"> => ({
    columns: ["c"],
    observe: ({ columns: { c } }) => ({ c: c.add(by) }),
    score: ({ columns: { c } }) => c,
  });
  const mixed = blend(blend(adding(1), adding(2)), adding(3));
  expect(mixed.columns).toEqual(["a.a.c", "a.b.c", "b.c"]);
  const given: Rows = { positions: [[0]], columns: { "a.a.c": [[10]], "a.b.c": [[20]], "b.c": [[30]] } };
  const observed = await evaluate<"a.a.c" | "a.b.c" | "b.c">((view) => Object.values(mixed.observe!(view)), given);
  expect(observed).toEqual([[[11]], [[22]], [[33]]]);
  expect(await one(mixed.score, given)).toEqual([[0.25 * 10 + 0.25 * 20 + 0.5 * 30]]);
});

test("blend leaves the columns of a scorer that does not observe alone, and watches what either watches", async () => {
  const still: Scorer<"kept"> = { columns: ["kept"], score: ({ columns: { kept } }) => kept };
  const seen: Scorer<"sum"> = {
    watch: 4,
    columns: ["sum"],
    observe: ({ mass, columns: { sum } }) => ({ sum: sum.add(mass) }),
    score: ({ columns: { sum } }) => sum,
  };
  const given: Rows = {
    positions: [[0, 1]],
    columns: { "a.kept": [[1, 2]], "b.sum": [[3, 4]] },
    mass: [[0.5, 0.25]],
  };
  const mixed = blend(still, seen);
  expect(mixed.watch).toBe(4);
  const observed = await evaluate<"a.kept" | "b.sum">((view) => {
    const { "a.kept": kept, "b.sum": sum } = mixed.observe!(view);
    return [kept, sum];
  }, given);
  expect(observed).toEqual([[[1, 2]], [[3.5, 4.25]]]);
  expect(blend(recency, recency).observe).toBeUndefined();
  expect(blend(seen, seen).watch).toBe(4);
});

test("a policy is a value: spreading one makes another", async () => {
  const base: Pick<Policy, "score" | "protect"> = { score: recency, protect: none };
  const pinned = { ...base, protect: pin(1, 2) };
  expect(
    await one((view) => ranking(pinned.score.score(view), pinned.protect.mask(view)), { positions: [[0, 1, 2]] }),
  ).toEqual([[0, Infinity, 2]]);
  expect(
    await one((view) => ranking(base.score.score(view), base.protect.mask(view)), { positions: [[0, 1, 2]] }),
  ).toEqual([[0, 1, 2]]);
});
