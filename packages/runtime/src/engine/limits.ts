import { type Account, peakBytes, planTurn, type TurnPlan } from "@ziggurat/cache";
import { CeilingError, RequestError } from "../error.js";
import type { Model } from "../model.js";

/** A turn of one sequence: the messages that it reads and how many tokens it may write. */
export interface PlannedTurn {
  readonly plan: TurnPlan;
  /** The most tokens that may be written. */
  readonly most: number;
  readonly mostReason: "length" | "context";
}

const defaultMaxTokens = 256;
/** The most steps of a turn, chunks read or tokens written: the plan looks ahead over every one before work starts. */
const mostSteps = 2 ** 20;

/** Checks `maxTokens` and fills in its default. Throws a `RequestError`. */
export function checkMaxTokens(maxTokens: number | undefined): number {
  const value = maxTokens ?? defaultMaxTokens;
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RequestError(`maxTokens is ${String(value)}; it must be a whole number of at least 1`);
  return value;
}

/**
 * Lengths of the chunks that a message of `tokens` tokens is cut into; one chunk if `chunk` is undefined. Throws a
 * `RequestError`.
 */
export function chunks(tokens: number, chunk: number | undefined): number[] {
  if (chunk !== undefined && (!Number.isSafeInteger(chunk) || chunk < 1)) {
    throw new RequestError(`chunk is ${String(chunk)}; it must be a whole number of tokens, at least 1`);
  }
  const size = chunk ?? tokens;
  const length = Math.ceil(tokens / size);
  if (length > mostSteps)
    throw new RequestError(`chunk is ${size}: ${tokens} tokens would be ${length} chunks; ${mostSteps} are the most`);
  return Array.from({ length }, (_, index) => Math.min(size, tokens - index * size));
}

/** Cuts a message into chunks of `chunk` tokens. Throws a `RequestError`. */
export const cut = (ids: readonly number[], chunk: number | undefined): Int32Array[] =>
  chunks(ids.length, chunk).map((length, index) =>
    Int32Array.from(ids.slice(index * (chunk ?? 0), index * (chunk ?? 0) + length)),
  );

/**
 * Looks ahead over a turn. Throws a `RequestError` if it would leave the model's context, and whatever the policy throws.
 */
export function planWithin(
  model: Model,
  account: Account,
  messages: readonly { readonly length: number }[],
  maxTokens: number,
): PlannedTurn {
  const { contextLength } = model.facts;
  const { policy, seen } = account;
  const tokens = messages.reduce((sum, message) => sum + message.length, 0);
  const slot = policy.positions === "slot";
  const read = seen + tokens;
  if (!slot && read > contextLength) {
    const before = seen > 0 ? ` after ${seen} read before` : "";
    throw new RequestError(
      `the prompt has ${tokens} tokens${before}; ${model.name} reads ${contextLength}. Shorten it, or take a policy with slot positions (streaming) and read it in chunks`,
    );
  }
  // The last token written is never fed.
  const most = slot ? maxTokens : Math.min(maxTokens, contextLength - read + 1);
  if (most > mostSteps) throw new RequestError(`maxTokens is ${maxTokens}; one turn may write ${mostSteps} tokens`);
  const plan = planTurn(
    account,
    messages.map(({ length }) => length),
    most - 1,
  );
  if (plan.positions > contextLength) {
    throw new RequestError(
      `${policy.name}: the cache would hold ${plan.positions} rows at once; ${model.name} tells ${contextLength} positions apart. Keep fewer rows, or read the prompt in smaller chunks`,
    );
  }
  return { plan, most, mostReason: most < maxTokens ? "context" : "length" };
}

/**
 * The most bytes of K and V that a turn takes, exactly. `before`: bytes of each layer's arena when it starts; left out
 * for a new cache.
 */
export function turnBytes(
  model: Model,
  accounts: readonly Account[],
  plans: readonly TurnPlan[],
  before?: readonly number[],
): number {
  const sequences = plans.map((plan, sequence) => ({ plan, policy: accounts[sequence]!.policy }));
  return peakBytes(model.facts.cache, model.rowDType, sequences, before);
}

/**
 * Throws a `CeilingError` if the turn needs more bytes of K and V than the ceiling allows, a `RequestError` if the
 * ceiling is not a number above 0.
 */
export function checkCeiling(needed: number, maxCacheBytes: number | undefined, advice: string): void {
  if (maxCacheBytes === undefined) return;
  if (typeof maxCacheBytes !== "number" || !(maxCacheBytes > 0)) {
    throw new RequestError(`maxCacheBytes is ${String(maxCacheBytes)}; it must be a number of bytes above 0`);
  }
  if (needed > maxCacheBytes)
    throw new CeilingError(
      `the cache would take ${needed} bytes at its peak; maxCacheBytes is ${maxCacheBytes}. ${advice}`,
    );
}
