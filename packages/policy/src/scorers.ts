import { checkWhole, refuse } from "./check.js";
import { PolicyError } from "./error.js";
import type { LayerView, Scorer } from "./policy.js";

/** How scores of the query heads that share a KV head become one. */
export const groupReductions = ["mean", "max", "sum"] as const;
export type GroupReduction = (typeof groupReductions)[number];

/** Newer rows matter more. */
export const recency: Scorer = { score: ({ positions }) => positions };

/**
 * Spreads (seed, layer) over the seeds, as heads count on from the seed that `hash` is given. The finaliser of
 * MurmurHash3, less its last shift.
 */
const mix = (seed: number, layer: number): number => {
  const a = seed ^ Math.imul(layer + 1, 0x9e3779b1);
  const b = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
  return Math.imul(b ^ (b >>> 13), 0xc2b2ae35) >>> 1;
};

/**
 * Every (layer, KV head, position) has a random score that stays the same, on every backend. `seed`: whole, from 0 to
 * 2147483647.
 */
export function randomScore(seed: number): Scorer {
  checkWhole("randomScore", "seed", seed, 0);
  return { score: ({ positions, layer }) => positions.hash(mix(seed, layer)) };
}

/**
 * (1 - weight) x a + weight x b, each with columns of its own. `weight`: from 0 to 1. Scores are not brought to one
 * scale first. Throws a PolicyError where both watch, but not the same number of queries: a view holds one sum of
 * attention.
 */
export function blend(a: Scorer, b: Scorer, weight = 0.5): Scorer {
  if (!(typeof weight === "number" && weight >= 0 && weight <= 1))
    refuse("blend", "weight", weight, "a number from 0 to 1");
  const [watchA, watchB] = [a.watch ?? 0, b.watch ?? 0];
  if (watchA > 0 && watchB > 0 && watchA !== watchB) {
    throw new PolicyError(
      `blend: the scorers watch ${watchA} and ${watchB} queries; where both watch, the numbers must be equal`,
    );
  }
  const columnsA = a.columns ?? 0;
  const left = (view: LayerView): LayerView => ({ ...view, columns: view.columns.slice(0, columnsA) });
  const right = (view: LayerView): LayerView => ({ ...view, columns: view.columns.slice(columnsA) });
  const observe = (scorer: Scorer, view: LayerView) => scorer.observe?.(view) ?? view.columns;
  return {
    watch: Math.max(watchA, watchB),
    columns: columnsA + (b.columns ?? 0),
    ...(a.observe || b.observe ? { observe: (view) => [...observe(a, left(view)), ...observe(b, right(view))] } : {}),
    score: (view) =>
      a
        .score(left(view))
        .mul(1 - weight)
        .add(b.score(right(view)).mul(weight)),
  };
}
