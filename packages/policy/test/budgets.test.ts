import { mulberry32, whole } from "@ziggurat/bench-kit/fixtures";
import {
  anyOf,
  type BudgetInput,
  first,
  fraction,
  full,
  type LayerShape,
  last,
  layerBudgets,
  none,
  type Policy,
  PolicyError,
  perHead,
  pin,
  uniform,
} from "@ziggurat/policy";
import { expect, test } from "vitest";

const layerAt = (layer: number, kvHeads = 2): LayerShape => ({ layer, kvHeads, headSize: 8 });
const input = (seen: number, protectedRows = 0, layers = [layerAt(0), layerAt(1)]): BudgetInput => ({
  layers,
  seen,
  protectedRows,
});
const named = (budget: Policy["budget"]) => ({ name: "h2o", budget });

test("uniform and perHead become one number per layer and head", () => {
  expect(layerBudgets(named(uniform(8)), input(100))).toEqual([
    [8, 8],
    [8, 8],
  ]);
  expect(layerBudgets(named(perHead(3, 9)), input(100))).toEqual([
    [3, 9],
    [3, 9],
  ]);
  const mixed = [layerAt(0), layerAt(5, 1)];
  expect(layerBudgets(named(uniform(3)), input(100, 0, mixed))).toEqual([[3, 3], [3]]);
  expect(() => layerBudgets(named(perHead(3, 9)), input(100, 0, mixed))).toThrow("layer 5 has 2 budgets");
});

test("a fraction is of what was read, in whole rows, never below what is protected", () => {
  const rows = (share: number, seen: number, protectedRows = 0) =>
    layerBudgets(named(fraction(share)), input(seen, protectedRows))[0]![0];
  expect(rows(0.12, 2000)).toBe(240);
  expect(rows(0.07, 100)).toBe(7);
  expect(rows(0.5, 3)).toBe(2);
  expect(rows(0.01, 3)).toBe(1);
  expect(rows(0.12, 100, 32)).toBe(32);
  expect(rows(1, 77)).toBe(77);
});

test("full keeps what was read", () => {
  for (const seen of [0, 1, 5000])
    expect(layerBudgets(full(), input(seen))[1]).toEqual([Math.max(1, seen), Math.max(1, seen)]);
});

test.each<readonly [Policy["budget"], BudgetInput, string]>([
  [uniform(8), input(20, 9), "h2o: layer 0 may keep 8 rows but protects 9"],
  [perHead(9, 8), input(20, 9), "h2o: layer 0, KV head 1 may keep 8 rows but protects 9"],
  [() => [8], input(20), "h2o: the budget has 1 entries; it must have one for each of the 2 layers"],
  [() => 8 as never, input(20), "h2o: the budget is number; it must be an array, one entry per layer"],
  [perHead(1, 2, 3), input(20), "h2o: layer 0 has 3 budgets; it must have one for each of its 2 KV heads"],
  [() => [8, 0], input(20), "h2o: layer 1 may keep 0 rows; it must be a whole number of at least 1"],
  [
    () => [8, [8, 0.5]],
    input(20),
    "h2o: layer 1, KV head 1 may keep 0.5 rows; it must be a whole number of at least 1",
  ],
  [() => [8, Number.NaN], input(20), "h2o: layer 1 may keep NaN rows; it must be a whole number of at least 1"],
  [() => [8, "8" as never], input(20), "h2o: layer 1 may keep 8 rows; it must be a whole number of at least 1"],
])("%# a budget that cannot be is refused", (budget, given, message) => {
  expect(() => layerBudgets(named(budget), given)).toThrow(new PolicyError(message));
});

test("errors name a layer by its number in the model, and entries by their order", () => {
  const some = [layerAt(1), layerAt(4)];
  const byLayer = named(({ layers }) => layers.map(({ layer }) => (layer === 1 ? 8 : 9)));
  expect(() => layerBudgets(named(uniform(8)), input(20, 9, some))).toThrow("layer 1 may keep 8 rows but protects 9");
  expect(() =>
    layerBudgets(
      named(() => [9, 8]),
      input(20, 9, some),
    ),
  ).toThrow("layer 4 may keep 8 rows");
  expect(layerBudgets(byLayer, input(20, 8, some))).toEqual([
    [8, 8],
    [9, 9],
  ]);
});

test("protection is held against layers that must evict, and no others", () => {
  expect(layerBudgets(named(uniform(8)), input(8, 8))).toEqual([
    [8, 8],
    [8, 8],
  ]);
});

test("count is what a protection can hold of any text, rows that several protect counted once", () => {
  const seed = 41;
  const next = mulberry32(seed);
  for (let draw = 0; draw < 500; draw++) {
    const [n, start, length, seen] = [
      whole(next, 0, 12),
      whole(next, 0, 30),
      whole(next, 1, 20),
      whole(next, 0, 60),
    ] as const;
    const text = Array.from({ length: seen }, (_, position) => position);
    const inFirst = (p: number) => p < n;
    const inLast = (p: number) => seen - 1 - p < n;
    const inPin = (p: number) => p >= start && p < start + length;
    const of = (holds: (p: number) => boolean) => text.filter(holds).length;
    const where = `seed ${seed}, draw ${draw}`;
    expect(none.count(seen), where).toBe(0);
    expect(first(n).count(seen), where).toBe(of(inFirst));
    expect(last(n).count(seen), where).toBe(of(inLast));
    expect(pin(start, start + length).count(seen), where).toBe(of(inPin));
    const joined = anyOf(first(n), last(n), pin(start, start + length)).count(seen);
    const together = of((p) => inFirst(p) || inLast(p) || inPin(p));
    expect(joined, where).toBe(together);
    expect(anyOf(anyOf(first(n), none), anyOf(last(n), pin(start, start + length))).count(seen), where).toBe(together);
    // Of a part that tells no stretches only the number is known.
    const { count, mask } = pin(start, start + length);
    const bound = anyOf(first(n), { count, mask }, last(n)).count(seen);
    expect(bound, where).toBeGreaterThanOrEqual(together);
    expect(bound, where).toBeLessThanOrEqual(Math.min(seen, of((p) => inFirst(p) || inLast(p)) + count(seen)));
  }
});
