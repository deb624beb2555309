import type { Tensor } from "@ziggurat/tensor";
import { checkWhole, refuse } from "./check.js";
import { PolicyError } from "./error.js";
import type { LayerView, Scorer } from "./policy.js";

/** How the scores of query heads that share a KV head are combined into one. */
export const groupReductions = ["mean", "max", "sum"] as const;
export type GroupReduction = (typeof groupReductions)[number];

/** Newer rows matter more. */
export const recency: Scorer = { score: ({ positions }) => positions };

/**
 * Maps (seed, layer) to a seed for `hash`, far from those of other layers, since `hash` adds the head to its seed. The
 * finaliser of MurmurHash3 without its last shift.
 */
const mix = (seed: number, layer: number): number => {
  const a = seed ^ Math.imul(layer + 1, 0x9e3779b1);
  const b = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
  return Math.imul(b ^ (b >>> 13), 0xc2b2ae35) >>> 1;
};

/**
 * A random score for every (layer, KV head, position), the same at every step and on every backend. `seed`: whole, from
 * 0 to 2147483647.
 */
export function randomScore(seed: number): Scorer {
  checkWhole("randomScore", "seed", seed, 0);
  return { score: ({ positions, layer }) => positions.hash(mix(seed, layer)) };
}

type Columns<C extends string> = Readonly<Record<C, Tensor>>;

/**
 * (1 - weight) x a + weight x b. `weight`: from 0 to 1. Scores are not brought to one scale first. Each scorer keeps
 * its own columns, named `a.` or `b.` and its name for them. Throws a PolicyError if both watch, but not the same
 * number of queries: a view holds one sum of attention.
 */
export function blend<A extends string, B extends string>(
  a: Scorer<A>,
  b: Scorer<B>,
  weight = 0.5,
): Scorer<`a.${A}` | `b.${B}`> {
  if (!(typeof weight === "number" && weight >= 0 && weight <= 1))
    refuse("blend", "weight", weight, "a number from 0 to 1");
  const [watchA, watchB] = [a.watch ?? 0, b.watch ?? 0];
  const [eachA, eachB] = [a.watchEach ?? 0, b.watchEach ?? 0];
  if (eachA > 0 && eachB > 0 && eachA !== eachB) {
    throw new PolicyError(
      `blend: the scorers watch each of ${eachA} and ${eachB} queries; where both do, the numbers must be equal`,
    );
  }
  if (watchA > 0 && watchB > 0 && watchA !== watchB) {
    throw new PolicyError(
      `blend: the scorers watch ${watchA} and ${watchB} queries; where both watch, the numbers must be equal`,
    );
  }
  const left = part("a", a);
  const right = part("b", b);
  const observe = (view: LayerView<`a.${A}` | `b.${B}`>) =>
    ({ ...left.observe(view), ...right.observe(view) }) as Columns<`a.${A}` | `b.${B}`>;
  return {
    watch: Math.max(watchA, watchB),
    watchEach: Math.max(eachA, eachB),
    columns: [...left.columns, ...right.columns],
    ...(a.observe || b.observe ? { observe } : {}),
    score: (view) =>
      a
        .score(left.view(view))
        .mul(1 - weight)
        .add(b.score(right.view(view)).mul(weight)),
  };
}

/** One scorer of a blend: its columns carry `prefix` in the blend's views, and their own names in its views. */
function part<P extends string, C extends string>(prefix: P, scorer: Scorer<C>) {
  type Full = `${P}.${C}`;
  const names = scorer.columns ?? [];
  const full = (name: C): Full => `${prefix}.${name}`;
  const view = (whole: LayerView<Full>): LayerView<C> => ({
    ...whole,
    columns: Object.fromEntries(names.map((name) => [name, whole.columns[full(name)]])) as Columns<C>,
  });
  return {
    columns: names.map(full),
    view,
    observe(whole: LayerView<Full>): Columns<Full> {
      const own = view(whole);
      const observed = scorer.observe?.(own) ?? own.columns;
      return Object.fromEntries(names.map((name) => [full(name), observed[name]])) as Columns<Full>;
    },
  };
}
