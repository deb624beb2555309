import { Progress } from "@ziggurat/cache";
import { type Policy, PolicyError } from "@ziggurat/policy";
import { CeilingError, RequestError } from "./error.js";
import { checkMaxTokens, cut, planWithin, turnBytes } from "./limits.js";
import type { Model } from "./model.js";

export interface FitOptions {
  readonly model: Model;
  /** Tokens of the prompt. */
  readonly tokens: number;
  /** Tokens to be written after it. Default 256. */
  readonly maxTokens?: number;
  readonly chunk?: number;
  readonly maxCacheBytes: number;
  /** The policy that keeps so many rows, for instance `(keep) => snapkv({ keep })`. */
  readonly policy: (keep: number) => Policy;
}

export interface Fit {
  readonly keep: number;
  /** Bytes of K and V at the peak with that many rows, prefill scratch included. */
  readonly peakBytes: number;
}

/**
 * The largest `keep`, up to the number of tokens, whose cache stays within `maxCacheBytes`: arithmetic, nothing is allocated. A `keep` that the policy refuses counts
 * as too small, one that the model's context refuses as too large. Throws a `CeilingError` where none fits, a `RequestError` where a number cannot be.
 */
export function fit({ model, tokens, maxTokens, chunk, maxCacheBytes, policy }: FitOptions): Fit {
  if (!Number.isSafeInteger(tokens) || tokens < 1) throw new RequestError(`tokens is ${String(tokens)}; it must be a whole number of at least 1`);
  if (!(maxCacheBytes > 0)) throw new RequestError(`maxCacheBytes is ${String(maxCacheBytes)}; it must be a number of bytes above 0`);
  const most = checkMaxTokens(maxTokens);
  const messages = cut(new Array<number>(tokens).fill(0), chunk);
  const bytesOf = (made: Policy): number => {
    const progress = new Progress(model.facts.cache, made);
    return turnBytes(model, [progress], [planWithin(model, progress, messages, most).plan]);
  };
  // A policy refuses rows that are too few; more than the model's positions can tell apart are too many.
  let refusal: unknown;
  const attempt = (keep: number): number | "too few" | "too many" => {
    try {
      return bytesOf(policy(keep));
    } catch (error) {
      if (!(error instanceof PolicyError || error instanceof RequestError)) throw error;
      refusal = error;
      return error instanceof PolicyError ? "too few" : "too many";
    }
  };
  let low = 0;
  let best: number | undefined;
  let smallest: number | undefined;
  let high = tokens;
  while (low < high) {
    const keep = Math.ceil((low + high) / 2);
    const bytes = attempt(keep);
    if (typeof bytes === "number") smallest = Math.min(smallest ?? Number.POSITIVE_INFINITY, bytes);
    if (bytes === "too many" || (typeof bytes === "number" && bytes > maxCacheBytes)) high = keep - 1;
    else {
      low = keep;
      best = bytes === "too few" ? undefined : bytes;
    }
  }
  if (best !== undefined) return { keep: low, peakBytes: best };
  if (smallest === undefined) throw refusal;
  throw new CeilingError(
    `no number of rows that the policy takes fits: the least tried needs ${smallest} bytes; maxCacheBytes is ${maxCacheBytes}. Raise it, write fewer tokens, or read in chunks`,
  );
}
