import { PolicyError } from "./error.js";
import { asked } from "./frozen-policy.js";
import type { BudgetInput, Policy } from "./policy.js";

/**
 * A policy's budget as rows per layer and KV head: one entry for each of `input.layers`, [layer][KV head]. Throws a
 * PolicyError that names the policy, the layer and the numbers if the budget has not one entry per layer and one number
 * per KV head, if a number is not whole or below 1, or if a layer may keep fewer rows than are protected.
 */
export function layerBudgets(
  { name, budget }: Pick<Policy, "name" | "budget">,
  input: BudgetInput,
): readonly (readonly number[])[] {
  return asked(name, "the budget", () => checked(name, budget(input), input));
}

function checked(
  name: string,
  answer: unknown,
  { layers, seen, protectedRows }: BudgetInput,
): readonly (readonly number[])[] {
  if (!Array.isArray(answer)) {
    const what = answer instanceof Promise ? "a promise" : typeof answer;
    throw new PolicyError(`${name}: the budget is ${what}; it must be an array, one entry per layer`);
  }
  if (answer.length !== layers.length) {
    throw new PolicyError(
      `${name}: the budget has ${answer.length} entries; it must have one for each of the ${layers.length} layers`,
    );
  }
  const check = (keep: unknown, layer: number, head?: number): number => {
    const where = () => (head === undefined ? `layer ${layer}` : `layer ${layer}, KV head ${head}`);
    if (typeof keep !== "number" || !Number.isSafeInteger(keep) || keep < 1) {
      throw new PolicyError(
        `${name}: ${where()} may keep ${String(keep)} rows; it must be a whole number of at least 1`,
      );
    }
    if (seen > keep && keep < protectedRows) {
      throw new PolicyError(`${name}: ${where()} may keep ${keep} rows but protects ${protectedRows}`);
    }
    return keep;
  };
  // Layers with the same number share one list: this runs once for every token that a plan looks ahead over.
  let shared: readonly number[] = [];
  return layers.map(({ layer, kvHeads }, index) => {
    const entry: unknown = answer[index];
    if (!Array.isArray(entry)) {
      const keep = check(entry, layer);
      if (shared.length !== kvHeads || shared[0] !== keep) shared = new Array<number>(kvHeads).fill(keep);
      return shared;
    }
    if (entry.length !== kvHeads) {
      throw new PolicyError(
        `${name}: layer ${layer} has ${entry.length} budgets; it must have one for each of its ${kvHeads} KV heads`,
      );
    }
    // Not `map`, which would skip holes.
    return Array.from(entry, (keep, head) => check(keep, layer, head));
  });
}
