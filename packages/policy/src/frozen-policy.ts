import { checkPolicy } from "./check.js";
import { PolicyError } from "./error.js";
import type { Policy } from "./policy.js";

// Policies come from outside. An engine reads each one once, and whatever its functions throw is an error of the
// policy.

const messageOf = (error: unknown): string => {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return "something that has no text";
  }
};

/** Calls a policy's function. Whatever it throws arrives as a PolicyError that names the policy and the part. */
export function asked<T>(policy: string, part: string, answer: () => T): T {
  try {
    return answer();
  } catch (error) {
    if (error instanceof PolicyError) throw error;
    throw new PolicyError(`${policy}: ${part} threw ${messageOf(error)}`, { cause: error });
  }
}

const frozen = new WeakSet<Policy>();

/**
 * A copy of a policy that stays as it is, for engines. Every property is read once; later changes of the original have
 * no effect. Its functions throw nothing but a PolicyError. Throws a PolicyError if `policy` is not a policy. A frozen
 * policy is returned as it is.
 */
export function freezePolicy(policy: Policy): Policy {
  if (frozen.has(policy)) return policy;
  const copy = asked("policy", "reading the policy", () => read(policy));
  frozen.add(copy);
  return copy;
}

/** Freezes several policies, each object once: those that share a policy object share its copy. */
export function freezePolicies(policies: readonly Policy[]): Policy[] {
  const copies = new Map<Policy, Policy>();
  return policies.map((policy) => {
    const copy = copies.get(policy) ?? freezePolicy(policy);
    copies.set(policy, copy);
    return copy;
  });
}

function read(policy: Policy): Policy {
  checkPolicy(policy);
  const { name, budget, schedule, score: scorer, protect: protection, positions } = policy;
  const { watch, watchEach, columns, observe, score } = scorer;
  const { count, stretches, mask } = protection;
  // Getters may answer differently the second time: what was read is checked again.
  const copy: Policy = {
    name,
    budget: (input) => asked(name, "the budget", () => budget.call(policy, input)),
    schedule: (step) => asked(name, "the schedule", () => schedule.call(policy, step)),
    score: Object.freeze({
      ...(watch === undefined ? {} : { watch }),
      ...(watchEach === undefined ? {} : { watchEach }),
      ...(columns === undefined ? {} : { columns: Object.freeze(Array.from(columns)) }),
      ...(observe === undefined
        ? {}
        : { observe: ((view) => asked(name, "observe", () => observe.call(scorer, view))) as typeof observe }),
      score: (view: Parameters<typeof score>[0]) => asked(name, "the score", () => score.call(scorer, view)),
    }),
    protect: Object.freeze({
      count: (seen: number) => asked(name, "protect.count", () => count.call(protection, seen)),
      ...(stretches === undefined
        ? {}
        : { stretches: (seen: number) => asked(name, "protect.stretches", () => stretches.call(protection, seen)) }),
      mask: (view: Parameters<typeof mask>[0]) =>
        asked(name, "the mask of protected rows", () => mask.call(protection, view)),
    }),
    ...(positions === undefined ? {} : { positions }),
  };
  for (const [part, value] of Object.entries({ budget, schedule, score, count, mask }))
    if (typeof value !== "function") throw new PolicyError(`${name}: ${part} is not the same when it is read again`);
  checkPolicy(copy);
  return Object.freeze(copy);
}
