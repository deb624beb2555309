import { type Account, Cache, type RopeOf, type Target, type TurnPlan } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import { Buffers, type Slice } from "@ziggurat/tensor";
import { type Hidden, readMessage } from "../engine/read-message.js";
import type { RopeLease } from "../engine/rope-tables.js";
import { RequestError } from "../error.js";
import { checkModel, type Model } from "../model.js";
import { checkCallback, checkSignal } from "../options.js";

export interface ReadForPoliciesOptions {
  readonly signal: AbortSignal | undefined;
  /** Called with the fraction done, from 0 to 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
  /** Called with the hidden states of all tokens after the last layer. */
  readonly after?: (hidden: Hidden) => Promise<void>;
}

/** One text, read once, in a cache of one sequence for each policy. */
export interface ReadForPolicies {
  /** One for each policy. May be freed before the others. */
  readonly caches: readonly Cache[];
  /** f32 [vocabulary]: the logits after the last token. */
  readonly logits: Slice;
  readonly rope: RopeOf;
  /** Seconds of the prefill that all share, without the policies' own. */
  readonly prefillSeconds: number;
  /** Seconds that each policy took to observe, score, choose and move rows. */
  readonly policySeconds: readonly number[];
  readonly scratchBytes: number;
  /** Frees the caches and everything else. */
  free(): void;
}

/** Throws a `RequestError` unless there are a model, at least one policy, and options of the right kinds. */
export function checkForPolicies({
  model,
  policies,
  signal,
  onProgress,
}: {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}): void {
  checkSignal(signal);
  checkCallback("onProgress", onProgress);
  if (!Array.isArray(policies) || policies.length === 0)
    throw new RequestError("there are no policies; give at least one");
  checkModel(model);
}

/**
 * Reads one text once for several policies: its attention is exact and so the same for all, and every policy keeps what
 * it chooses. `plan` is called with the empty account of each policy and resolves to what its turn needs. If anything
 * fails, everything is freed.
 */
export async function readForPolicies(
  model: Model,
  policies: readonly Policy[],
  ids: Int32Array,
  plan: (account: Account) => Promise<TurnPlan>,
  { signal, onProgress, after }: ReadForPoliciesOptions,
): Promise<ReadForPolicies> {
  const { backend, facts, rowDType } = model;
  const caches: Cache[] = [];
  const buffers = new Buffers(backend);
  let lease: RopeLease | undefined;
  const free = () => {
    for (const cache of caches) cache.free();
    lease?.release();
    buffers.free();
  };
  try {
    const logits = buffers.allocate(4 * facts.vocabularySize, "workspace");
    let positions = 1;
    for (const policy of policies) {
      const cache = new Cache({ backend, shape: facts.cache, dtype: rowDType, policies: [policy] });
      caches.push(cache);
      const turn = await plan(cache.account(0));
      cache.reserve([turn]);
      positions = Math.max(positions, turn.positions);
    }
    lease = await model.ropes.lease(positions);
    const { rope } = lease;
    const targets = caches.map((cache): Target => ({ cache, sequence: 0 }));
    const policySeconds = caches.map(() => 0);
    const { scratchBytes, seconds } = await readMessage(model, targets as [Target, ...Target[]], ids, {
      ...{ logits, rope, signal },
      onProgress: onProgress && ((done, total) => onProgress(done / total)),
      ...(after ? { after } : { onPolicyTime: (index, took) => void (policySeconds[index]! += took) }),
    });
    const prefillSeconds = seconds - policySeconds.reduce((a, b) => a + b, 0);
    return { caches, logits, rope, prefillSeconds, policySeconds, scratchBytes, free };
  } catch (error) {
    free();
    throw error;
  }
}
