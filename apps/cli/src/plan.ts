import { Account, type CacheShape, planTurn, type TurnPlan } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";

/**
 * Plans a policy's cache for messages of these numbers of tokens and an answer of `maxTokens`: arithmetic, nothing is
 * allocated. Throws a PolicyError if the policy refuses.
 */
export const planOf = (shape: CacheShape, policy: Policy, messages: readonly number[], maxTokens: number): TurnPlan =>
  // The last token written is never fed.
  planTurn(Account.empty(shape, policy), [...messages], maxTokens - 1);
