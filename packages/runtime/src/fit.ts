import { Account } from "@ziggurat/cache";
import { type Policy, PolicyError } from "@ziggurat/policy";
import { checkMaxTokens, chunks, planWithin, turnBytes } from "./engine/limits.js";
import { CeilingError, RequestError, show } from "./error.js";
import { checkModel, type Model } from "./model.js";
import { checkSignal, knownOptions, type OptionNames } from "./options.js";

export interface FitOptions {
  readonly model: Model;
  /** Tokens of the prompt. */
  readonly tokens: number;
  /** Tokens to be written after it. Default 256. */
  readonly maxTokens?: number;
  readonly chunk?: number;
  readonly maxCacheBytes: number;
  readonly signal?: AbortSignal;
  /** Makes the policy that keeps `keep` rows, for instance `(keep) => snapkv({ keep })`. */
  readonly policy: (keep: number) => Policy;
}

const names: OptionNames<FitOptions> = {
  ...{ model: true, tokens: true, maxTokens: true, chunk: true, maxCacheBytes: true, signal: true, policy: true },
};

export interface Fit {
  readonly keep: number;
  /** Bytes of K and V at the peak with `keep` rows, prefill scratch included. */
  readonly peakBytes: number;
}

/**
 * Finds the largest `keep`, up to the number of tokens, whose cache stays within `maxCacheBytes`, without allocating
 * anything. A `keep` that the policy refuses counts as too small, one that the model's context refuses as too large. If
 * the policy refuses every `keep` up to the length of the prompt, the least that it takes is tried. Rejects with a
 * `CeilingError` if none fits, with a `RequestError` if an option is not valid.
 */
export async function fit(options: FitOptions): Promise<Fit> {
  knownOptions("fit", options, names);
  const { model, tokens, maxTokens, chunk, maxCacheBytes, signal, policy } = options;
  checkModel(model);
  checkSignal(signal);
  if (typeof policy !== "function")
    throw new RequestError(`policy is ${show(policy)}; it must be a function that takes keep and returns a policy`);
  signal?.throwIfAborted();
  if (!Number.isSafeInteger(tokens) || tokens < 1 || tokens >= 2 ** 31)
    throw new RequestError(`tokens is ${show(tokens)}; it must be a whole number from 1 to ${2 ** 31 - 1}`);
  if (typeof maxCacheBytes !== "number" || !(maxCacheBytes > 0))
    throw new RequestError(`maxCacheBytes is ${show(maxCacheBytes)}; it must be a number of bytes above 0`);
  const most = checkMaxTokens(maxTokens);
  const messages = chunks(tokens, chunk);
  const bytesOf = async (made: Policy): Promise<number> => {
    const account = Account.empty(model.facts.cache, made);
    return turnBytes(model, [account], [(await planWithin(model, account, messages, most, signal)).plan]);
  };
  // A policy refuses a number of rows that is too small, the model one beyond the positions that it tells apart.
  let tooFew: unknown;
  let tooMany: unknown;
  const attempt = async (keep: number): Promise<number | "too few" | "too many"> => {
    try {
      return await bytesOf(policy(keep));
    } catch (error) {
      if (!(error instanceof PolicyError || error instanceof RequestError)) throw error;
      if (error instanceof PolicyError) {
        tooFew = error;
        return "too few";
      }
      tooMany = error;
      return "too many";
    }
  };
  let low = 0;
  let best: number | undefined;
  let smallest: number | undefined;
  let high = tokens;
  while (low < high) {
    const keep = Math.ceil((low + high) / 2);
    const bytes = await attempt(keep);
    if (typeof bytes === "number") smallest = Math.min(smallest ?? Number.POSITIVE_INFINITY, bytes);
    if (bytes === "too many" || (typeof bytes === "number" && bytes > maxCacheBytes)) high = keep - 1;
    else {
      low = keep;
      best = bytes === "too few" ? undefined : bytes;
    }
  }
  if (best === undefined && low === tokens) {
    const keep = await leastTaken(tokens, async (rows) => (await attempt(rows)) !== "too few");
    const bytes = keep === undefined ? undefined : await attempt(keep);
    if (typeof bytes === "number" && bytes <= maxCacheBytes) return { keep: keep!, peakBytes: bytes };
    if (typeof bytes === "number") smallest = bytes;
  }
  if (best !== undefined) return { keep: low, peakBytes: best };
  if (smallest === undefined) throw tooMany ?? tooFew;
  throw new CeilingError(
    `no number of rows that the policy takes fits: the least tried needs ${smallest} bytes; maxCacheBytes is ${maxCacheBytes}. Raise it, write fewer tokens, or read in chunks`,
  );
}

/** The least number of rows beyond `refused` that is taken; undefined if none is. */
async function leastTaken(refused: number, isTaken: (rows: number) => Promise<boolean>): Promise<number | undefined> {
  let below = refused;
  let taken = 2 * refused;
  while (!(await isTaken(taken))) {
    below = taken;
    taken *= 2;
    if (taken >= 2 ** 31) return undefined;
  }
  while (taken - below > 1) {
    const rows = Math.floor((below + taken) / 2);
    if (await isTaken(rows)) taken = rows;
    else below = rows;
  }
  return taken;
}
