import { type Account, peakBytes, planSteps, type TurnPlan } from "@ziggurat/cache";
import { CeilingError, RequestError, show } from "../error.js";
import type { Model } from "../model.js";
import { inSlices } from "./in-slices.js";

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
  if (maxTokens === undefined) return defaultMaxTokens;
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 1)
    throw new RequestError(`maxTokens is ${show(maxTokens)}; it must be a whole number of at least 1`);
  return maxTokens;
}

/**
 * Lengths of the chunks that a message of `tokens` tokens is cut into; one chunk if `chunk` is undefined. Throws a
 * `RequestError`.
 */
export function chunks(tokens: number, chunk: number | undefined): number[] {
  if (chunk !== undefined && (!Number.isSafeInteger(chunk) || chunk < 1)) {
    throw new RequestError(`chunk is ${show(chunk)}; it must be a whole number of tokens, at least 1`);
  }
  const size = chunk ?? tokens;
  const length = Math.ceil(tokens / size);
  if (length > mostSteps)
    throw new RequestError(`chunk is ${size}: ${tokens} tokens would be ${length} chunks; ${mostSteps} are the most`);
  const lengths = new Array<number>(length).fill(size);
  if (length > 0) lengths[length - 1] = tokens - (length - 1) * size;
  return lengths;
}

/** Cuts a message into chunks of these lengths. */
export function* cut(ids: Int32Array, lengths: readonly number[]): Generator<Int32Array> {
  let from = 0;
  for (const length of lengths) yield ids.subarray(from, (from += length));
}

/**
 * Looks ahead over a turn that reads messages of these lengths. Rejects with a `RequestError` if it would leave the
 * model's context, with a `PolicyError` if the policy's numbers are not valid, with the signal's reason if it is
 * aborted.
 */
export async function planWithin(
  model: Model,
  account: Account,
  messages: readonly number[],
  maxTokens: number,
  signal?: AbortSignal,
): Promise<PlannedTurn> {
  const { contextLength } = model.facts;
  const { policy, seen } = account;
  const tokens = messages.reduce((sum, length) => sum + length, 0);
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
  const plan = await inSlices(planSteps(account, messages, most - 1), signal);
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

/** Throws a `RequestError` unless `maxCacheBytes` is a number above 0 or undefined. */
export function checkMaxCacheBytes(maxCacheBytes: number | undefined): void {
  if (maxCacheBytes !== undefined && (typeof maxCacheBytes !== "number" || !(maxCacheBytes > 0)))
    throw new RequestError(`maxCacheBytes is ${show(maxCacheBytes)}; it must be a number of bytes above 0`);
}

/**
 * Throws a `CeilingError` if the turn needs more bytes of K and V than the ceiling allows, a `RequestError` if the
 * ceiling is not a number above 0.
 */
export function checkCeiling(needed: number, maxCacheBytes: number | undefined, advice: string): void {
  checkMaxCacheBytes(maxCacheBytes);
  if (maxCacheBytes !== undefined && needed > maxCacheBytes)
    throw new CeilingError(
      `the cache would take ${needed} bytes at its peak; maxCacheBytes is ${maxCacheBytes}. ${advice}`,
    );
}
