import { type Keep, type ListedPolicy, policies as listed, parseKeep, rowsOf } from "@ziggurat/policies";
import type { Policy } from "@ziggurat/policy";

/** The policies that the page offers: the published ones, the newest first, and the full cache. */
export const policies: readonly ListedPolicy[] = [
  ...listed.filter(({ paper }) => paper !== undefined).reverse(),
  ...listed.filter(({ name }) => name === "full"),
];

/** Whether a policy has a budget of rows. */
export const hasBudget = ({ options }: ListedPolicy): boolean => "keep" in options.declared;

/**
 * The policy for a prompt, with a budget as it was typed: `12%` or `256`. `rows`: per layer on average; all of the
 * prompt's without a budget. Throws a RangeError in words for the page, and what the policy throws.
 */
export function choose(policy: ListedPolicy, text: string, promptTokens: number): { policy: Policy; rows: number } {
  if (!hasBudget(policy)) return { policy: policy.make({}), rows: promptTokens };
  const rows = rowsOf(readKeep(text.trim()), promptTokens, policy);
  return { policy: policy.make({ keep: rows }), rows };
}

function readKeep(text: string): Keep {
  try {
    return parseKeep("Keep", text);
  } catch {
    throw new RangeError(
      `“${text}” is no budget. Write a number of rows such as 256, or a share of the prompt such as 12%.`,
    );
  }
}
