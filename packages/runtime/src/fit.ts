import { Progress, planesOf } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import { CeilingError, RequestError } from "./error.js";
import { checkMaxTokens, cut, peakBytes, planWithin } from "./limits.js";
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
 * as too small. Throws a `CeilingError` where none fits, a `RequestError` where a number cannot be.
 */
export function fit({ model, tokens, maxTokens, chunk, maxCacheBytes, policy }: FitOptions): Fit {
  if (!Number.isSafeInteger(tokens) || tokens < 1) throw new RequestError(`tokens is ${String(tokens)}; it must be a whole number of at least 1`);
  if (!(maxCacheBytes > 0)) throw new RequestError(`maxCacheBytes is ${String(maxCacheBytes)}; it must be a number of bytes above 0`);
  const { facts, rowDType: dtype } = model;
  const most = checkMaxTokens(maxTokens);
  const messages = cut(new Array<number>(tokens).fill(0), chunk);
  const bytesOf = (made: Policy): number => {
    const progress = new Progress(facts.cache, made);
    const { plan } = planWithin(model, progress, messages, most);
    return peakBytes({ shape: facts.cache, dtype, planes: planesOf([made]).planes, progress: [progress] }, [plan]);
  };
  let refusal: unknown;
  const attempt = (keep: number): number | undefined => {
    try {
      return bytesOf(policy(keep));
    } catch (error) {
      refusal = error;
      return undefined;
    }
  };
  let low = 0;
  let best: number | undefined;
  let smallest: number | undefined;
  let high = tokens;
  while (low < high) {
    const keep = Math.ceil((low + high) / 2);
    const bytes = attempt(keep);
    if (bytes !== undefined) smallest = Math.min(smallest ?? Number.POSITIVE_INFINITY, bytes);
    if (bytes === undefined || bytes <= maxCacheBytes) {
      low = keep;
      best = bytes;
    } else high = keep - 1;
  }
  if (best !== undefined) return { keep: low, peakBytes: best };
  if (smallest === undefined) throw refusal;
  throw new CeilingError(
    `no number of rows that the policy takes fits: the least tried needs ${smallest} bytes; maxCacheBytes is ${maxCacheBytes}. Raise it, write fewer tokens, or read in chunks`,
  );
}
