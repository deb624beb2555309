import { Account, type CacheShape, planTurn, type TurnPlan } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";

/**
 * What a policy's cache holds while it reads messages of so many tokens and answers with `maxTokens`: arithmetic,
 * nothing is allocated. Throws a PolicyError if the policy refuses.
 */
export const planOf = (shape: CacheShape, policy: Policy, messages: readonly number[], maxTokens: number): TurnPlan =>
  // The last token written is never fed.
  planTurn(Account.empty(shape, policy), [...messages], maxTokens - 1);
