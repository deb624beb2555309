import type { Policy } from "@ziggurat/policy";
import { Buffers } from "@ziggurat/tensor";
import { planWithin } from "../engine/limits.js";
import { RequestError } from "../error.js";
import type { Model } from "../model.js";
import { knownOptions, type OptionNames } from "../options.js";
import { encodePrompt, type Prompt } from "../text/prompt.js";
import { feedTokens } from "./feed-tokens.js";
import type { EachResult } from "./generate-each.js";
import { checkForPolicies, readForPolicies } from "./read-for-policies.js";

export interface LogProbabilitiesEachOptions {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly prompt: Prompt;
  /** Variables for the chat template; JSON. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
  /** Token ids that follow the prompt; at least one. */
  readonly ids: readonly number[];
  readonly signal?: AbortSignal;
  /** Called with the fraction done, from 0 to 1, while the prompt is read. */
  readonly onProgress?: (done: number) => void;
}

const names: OptionNames<LogProbabilitiesEachOptions> = {
  ...{ model: true, policies: true, prompt: true, templateVariables: true, ids: true, signal: true, onProgress: true },
};

/**
 * How one policy's cache predicted the tokens that follow. Prefill time and scratch are those of the one prefill that
 * all share.
 */
export interface EachLogProbabilities
  extends Pick<EachResult, "promptTokens" | "policy" | "cache" | "timings" | "policySeconds"> {
  /**
   * Log-probability (natural) of each given token after all that came before it. exp of the mean, negated, is the
   * perplexity.
   */
  readonly logProbabilities: Float32Array;
}

/**
 * Reads one prompt once for all policies, then feeds the same tokens to each policy's cache, one by one, and gives
 * their log-probabilities. Rejects with a `RequestError` if there are no tokens or the context is too short.
 */
export async function* logProbabilitiesEach(
  options: LogProbabilitiesEachOptions,
): AsyncGenerator<EachLogProbabilities> {
  knownOptions("logProbabilitiesEach", options, names);
  const { model, policies, prompt, templateVariables, ids, signal, onProgress } = options;
  checkForPolicies(options);
  signal?.throwIfAborted();
  const { backend, facts } = model;
  const tokens = Int32Array.from(await encodePrompt(model, prompt, { templateVariables, signal }));
  const following = await encodePrompt(model, ids, { first: false });
  const read = await readForPolicies(
    model,
    policies,
    tokens,
    async (account) => {
      const { plan, most } = await planWithin(model, account, [tokens.length], following.length + 1, signal);
      if (most <= following.length)
        throw new RequestError(
          `${following.length} tokens after a prompt of ${tokens.length} are more than the ${facts.contextLength} that ${model.name} reads`,
        );
      return plan;
    },
    { signal, onProgress },
  );
  const buffers = new Buffers(backend);
  try {
    const logits = buffers.allocate(4 * facts.vocabularySize, "workspace");
    const copy = await backend.prepare("copy", { words: facts.vocabularySize });
    for (const [index, policy] of policies.entries()) {
      const cache = read.caches[index]!;
      const { bytes, room: roomBytes } = cache;
      const rows = cache.rows(0);
      backend.dispatch(copy, { x: read.logits, out: logits });
      const begun = performance.now();
      const feed = { rope: read.rope, ...(signal ? { signal } : {}) };
      const logProbabilities = await feedTokens(model, cache, logits, following, feed);
      const decodeSeconds = (performance.now() - begun) / 1000;
      const { evicted } = cache.account(0);
      cache.free();
      yield {
        logProbabilities,
        promptTokens: tokens.length,
        policy: { name: policy.name, active: evicted > 0, evicted, prefill: "exact" },
        cache: { rows, bytes, roomBytes, peakBytes: bytes + read.scratchBytes },
        timings: {
          prefillSeconds: read.prefillSeconds,
          decodeSeconds,
          prefillTokensPerSecond: tokens.length / read.prefillSeconds,
          decodeTokensPerSecond: following.length / decodeSeconds,
        },
        policySeconds: read.policySeconds[index]!,
      };
    }
  } finally {
    read.free();
    buffers.free();
  }
}
