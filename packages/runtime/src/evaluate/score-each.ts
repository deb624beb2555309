import { Buffers, Cache } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import { planWithin } from "../engine/limits.js";
import type { RopeLease } from "../engine/rope-tables.js";
import { RequestError } from "../error.js";
import { checkModel, type Model } from "../model.js";
import { encodePrompt, type Prompt } from "../text/prompt.js";
import type { EachResult } from "./generate-each.js";
import { readForEach } from "./read-for-each.js";
import { feedTokens } from "./score.js";

export interface LogProbabilitiesEachOptions {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly prompt: Prompt;
  /** Variables for the chat template; JSON. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
  /** Token ids that follow the prompt; at least one. */
  readonly ids: readonly number[];
  readonly signal?: AbortSignal;
  /** Told while the prompt is read: part done, from 0 to 1. */
  readonly onProgress?: (done: number) => void;
}

/**
 * What one policy's cache made of the tokens that follow. Prefill time and scratch are those of the one prefill that
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
 * their log-probabilities. Rejects with a `RequestError` where there is nothing to score or the context is too short.
 */
export async function* logProbabilitiesEach({
  model,
  policies,
  prompt,
  templateVariables,
  ids,
  signal,
  onProgress,
}: LogProbabilitiesEachOptions): AsyncGenerator<EachLogProbabilities> {
  if (!Array.isArray(policies) || policies.length === 0)
    throw new RequestError("there are no policies; give at least one");
  checkModel(model);
  signal?.throwIfAborted();
  const { backend, facts, rowDType } = model;
  const read = Int32Array.from(await encodePrompt(model, prompt, { templateVariables, signal }));
  const following = await encodePrompt(model, ids, { first: false });
  const caches: Cache[] = [];
  const buffers = new Buffers(backend);
  let lease: RopeLease | undefined;
  try {
    const after = buffers.allocate(4 * facts.vocabularySize, "workspace");
    const logits = buffers.allocate(4 * facts.vocabularySize, "workspace");
    const plans = policies.map((policy) => {
      const cache = new Cache({
        backend,
        shape: facts.cache,
        dtype: rowDType,
        policies: [policy],
        rope: (layer) => lease!.rope(layer),
      });
      caches.push(cache);
      const { plan, most } = planWithin(model, cache.progress[0]!, [read], following.length + 1);
      if (most <= following.length)
        throw new RequestError(
          `${following.length} tokens after a prompt of ${read.length} are more than the ${facts.contextLength} that ${model.name} reads`,
        );
      return plan;
    });
    lease = await model.ropes.lease(Math.max(...plans.map(({ positions }) => positions)));
    const { prefillSeconds, policySeconds, scratchBytes } = await readForEach(model, caches, plans, read, {
      logits: after,
      signal,
      onProgress,
    });
    const copy = await backend.prepare("copy", { words: facts.vocabularySize });

    for (const [index, policy] of policies.entries()) {
      const cache = caches[index]!;
      const progress = cache.progress[0]!;
      const { bytes, room: roomBytes } = cache;
      const rows = progress.rows.map((heads) => [...heads]);
      backend.dispatch(copy, { x: after, out: logits });
      const begun = performance.now();
      const logProbabilities = await feedTokens(model, cache, logits, following, signal ? { signal } : {});
      const decodeSeconds = (performance.now() - begun) / 1000;
      const { evicted } = progress;
      cache.free();
      yield {
        logProbabilities,
        promptTokens: read.length,
        policy: { name: policy.name, active: evicted > 0, evicted, prefill: "exact" },
        cache: { rows, bytes, roomBytes, peakBytes: bytes + scratchBytes },
        timings: {
          prefillSeconds,
          decodeSeconds,
          prefillTokensPerSecond: read.length / prefillSeconds,
          decodeTokensPerSecond: following.length / decodeSeconds,
        },
        policySeconds: policySeconds[index]!,
      };
    }
  } finally {
    for (const cache of caches) cache.free();
    lease?.release();
    buffers.free();
  }
}
