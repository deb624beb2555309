import { mulberry32, officialBudgets, whole } from "@ziggurat/bench-kit/fixtures";
import { Account, type CacheShape } from "@ziggurat/cache";
import {
  afterPrefill,
  type BudgetInput,
  type LayerShape,
  last,
  layerBudgets,
  type Policy,
  PolicyError,
  recency,
} from "@ziggurat/policy";
import { type PyramidOptions, pyramid } from "@ziggurat/pyramid";
import { describe, expect, test } from "vitest";

const global = (count: number): LayerShape[] =>
  Array.from({ length: count }, (_, layer) => ({ layer, kvHeads: 1, headSize: 8 }));
const rows = (keep: number, options: PyramidOptions, input: BudgetInput) =>
  layerBudgets({ name: "pyramid", budget: pyramid(keep, options) }, input).map(([n]) => n!);
const sum = (x: readonly number[]) => x.reduce((a, b) => a + b, 0);
const falls = (x: readonly number[]) => x.every((n, i) => i === 0 || n <= x[i - 1]!);

describe("released: budgets.json, KVCache-Factory at c97f9d7", () => {
  test.each(officialBudgets())(
    "$layers layers, $capacity rows, window $window",
    ({ layers, capacity, window, beta, max_num, kept, total, edge_q_len }) => {
      const released = (seen: number) =>
        rows(capacity, { beta, rounding: "released" }, { layers: global(layers), seen, protectedRows: window });
      for (const seen of [Math.max(max_num + window + 1, 2 * (capacity - window)), 100_000]) {
        expect(released(seen)).toEqual(kept);
        expect(sum(released(seen))).toBe(total);
      }
      for (const [length, edge] of Object.entries(edge_q_len)) {
        const seen = Number(length);
        const held = released(seen).map((n) => Math.min(n, seen));
        expect({ first: held[0], last: held.at(-1), total: sum(held) }, `${seen} tokens`).toEqual({
          first: edge.first,
          last: edge.last,
          total: edge.total,
        });
      }
    },
  );

  test("a single layer has no pyramid, where their code divides by zero", () => {
    expect(rows(128, { rounding: "released" }, { layers: global(1), seen: 5000, protectedRows: 8 })).toEqual([128]);
  });

  test("the clamp: the lowest layer keeps all of a text of 240 tokens", () => {
    const held = rows(128, { rounding: "released" }, { layers: global(32), seen: 240, protectedRows: 8 });
    expect([held[0], held[1], held[31]]).toEqual([240, 233, 23]);
  });

  test("never fewer than the protected rows, never more than the text, falling, over many draws", () => {
    const seed = 91;
    const next = mulberry32(seed);
    for (let draw = 0; draw < 2000; draw++) {
      const [layers, window, beta] = [whole(next, 1, 40), whole(next, 0, 40), whole(next, 1, 60)] as const;
      const keep = window + whole(next, 1, 400);
      const seen = whole(next, 1, 2000);
      const held = rows(
        keep,
        { beta, rounding: "released" },
        { layers: global(layers), seen, protectedRows: Math.min(window, seen) },
      );
      const where = `seed ${seed}, draw ${draw}: ${JSON.stringify({ layers, window, beta, keep, seen, held })}`;
      expect(falls(held), where).toBe(true);
      expect(held.at(-1)!, where).toBeGreaterThanOrEqual(Math.max(1, Math.min(window, seen)));
      if (seen > keep) expect(held[0]!, where).toBeLessThanOrEqual(seen);
      expect(sum(held), where).toBeGreaterThanOrEqual(layers * keep);
    }
  });
});

describe("exact", () => {
  test("conserves the budget, falls, keeps what is protected and no more than was read, over many draws", () => {
    const seed = 17;
    const next = mulberry32(seed);
    let steep = 0;
    for (let draw = 0; draw < 8000; draw++) {
      const layers = whole(next, 1, 100);
      const window = whole(next, 0, 3) === 0 ? 0 : whole(next, 1, 80);
      const beta = whole(next, 0, 1) === 0 ? whole(next, 1, 100) : 1 + (40 * next()) / 2 ** 32;
      const keep = window + whole(next, 0, 1) * whole(next, 0, 500) + whole(next, window === 0 ? 1 : 0, 20);
      const seen = whole(next, 1, whole(next, 0, 1) === 0 ? 4000 : 3 * keep);
      const protectedRows = Math.min(window, seen);
      const held = rows(keep, { beta }, { layers: global(layers), seen, protectedRows });
      const where = `seed ${seed}, draw ${draw}: ${JSON.stringify({ layers, window, beta, keep, seen, held })}`;
      expect(sum(held), where).toBe(layers * keep);
      expect(falls(held), where).toBe(true);
      expect(held.at(-1)!, where).toBeGreaterThanOrEqual(Math.max(1, protectedRows));
      if (seen >= keep) expect(held[0]!, where).toBeLessThanOrEqual(seen);
      if (held[0]! > held.at(-1)! + 1) steep++;
    }
    expect(steep).toBeGreaterThan(2000);
  });

  test("is a straight line to within a row", () => {
    const held = rows(128, {}, { layers: global(32), seen: 8000, protectedRows: 8 });
    expect(sum(held)).toBe(32 * 128);
    expect([held[0], held.at(-1)]).toEqual([242, 14]);
    held.forEach((n, layer) => expect(Math.abs(n - (242 - (layer * 228) / 31))).toBeLessThan(1));
  });

  test("has the authors' ends, and their total less what they keep too much", () => {
    for (const { layers, capacity, window, beta, kept } of officialBudgets()) {
      const held = rows(capacity, { beta }, { layers: global(layers), seen: 100_000, protectedRows: window });
      expect(held[0]).toBe(kept[0]);
      expect(held.at(-1)).toBe(Math.floor((capacity - window) / beta) + window);
      expect(sum(held)).toBe(layers * capacity);
      expect(sum(kept)).toBeGreaterThan(sum(held));
    }
  });

  test("what the clamp takes from the lowest layer goes to the upper ones", () => {
    const held = rows(128, {}, { layers: global(32), seen: 200, protectedRows: 8 });
    expect([held[0], held.at(-1), sum(held)]).toEqual([200, 56, 32 * 128]);
  });

  test("a larger beta is steeper, 1 is flat", () => {
    const at = (beta: number) => rows(128, { beta }, { layers: global(12), seen: 9000, protectedRows: 8 });
    expect(at(1)).toEqual(Array(12).fill(128));
    const tops = [1, 1.5, 2, 5, 20, 120, 1e9].map((beta) => at(beta).at(-1)!);
    expect(tops).toEqual([128, 88, 68, 32, 14, 9, 8]);
  });

  test("a text of up to keep tokens and a keep without free rows have no pyramid", () => {
    expect(rows(64, {}, { layers: global(4), seen: 64, protectedRows: 8 })).toEqual([64, 64, 64, 64]);
    expect(rows(64, {}, { layers: global(4), seen: 900, protectedRows: 64 })).toEqual([64, 64, 64, 64]);
    expect(() => rows(64, {}, { layers: global(4), seen: 900, protectedRows: 65 })).toThrow(
      "layer 0 may keep 64 rows but protects 65",
    );
  });
});

test.each(["exact", "released"] as const)("%s: sliding layers take no part", (rounding) => {
  const kinds = ["sliding", "global", "sliding", "sliding", "global", "global"] as const;
  const shape: CacheShape = {
    layers: kinds.map((kind) => (kind === "global" ? { kind } : { kind, window: 51 })),
    ...{ queryHeads: 2, kvHeads: 2, headSize: 8, scale: 1, softcap: 0 },
  };
  const policy: Policy = {
    ...{ name: "pyramid", budget: pyramid(50, { rounding }), score: recency },
    ...{ protect: last(8), schedule: afterPrefill() },
  };
  const held = Account.empty(shape, policy).feed(5000, "prefill").account.rows;
  const alone = rows(50, { rounding }, { layers: global(3), seen: 5000, protectedRows: 8 });
  expect(held.filter((_, i) => kinds[i] === "global")).toEqual(alone.map((n) => [n, n]));
  expect(held.filter((_, i) => kinds[i] === "sliding")).toEqual(Array(3).fill([50, 50]));
  expect(alone[0]).toBeGreaterThan(alone[2]!);
});

test.each<readonly [number, unknown, string]>([
  [0, {}, "pyramid: keep is 0; it must be a whole number of at least 1"],
  [1.5, {}, "pyramid: keep is 1.5; it must be a whole number of at least 1"],
  [64, { beta: 0 }, "pyramid: beta is 0; it must be a finite number of at least 1"],
  [64, { beta: -20 }, "pyramid: beta is -20; it must be a finite number of at least 1"],
  [64, { beta: 0.5 }, "pyramid: beta is 0.5; it must be a finite number of at least 1"],
  [64, { beta: Number.NaN }, "pyramid: beta is NaN; it must be a finite number of at least 1"],
  [64, { beta: Number.POSITIVE_INFINITY }, "pyramid: beta is Infinity; it must be a finite number of at least 1"],
  [64, { rounding: "floor" }, 'pyramid: rounding is "floor"; it must be "exact" or "released"'],
  [64, { betta: 20 }, 'pyramid: no option is called "betta"; there are beta, rounding'],
])("%# refuses keep %d, %o", (keep, options, message) => {
  expect(() => pyramid(keep, options as PyramidOptions)).toThrow(new PolicyError(message));
});
