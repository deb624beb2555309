import type { Cache, Target, TurnPlan } from "@ziggurat/cache";
import type { Slice } from "@ziggurat/tensor";
import { readMessage } from "../engine/read-message.js";
import type { Model } from "../model.js";

export interface ReadForEachOptions {
  /** f32 [vocabulary]: where the logits after the last token go. */
  readonly logits: Slice;
  readonly signal: AbortSignal | undefined;
  /** Told the part done, from 0 to 1. */
  readonly onProgress: ((done: number) => void) | undefined;
}

/**
 * Reads one text once for caches of one sequence each, all empty. `policySeconds`: by cache; `prefillSeconds`: without
 * them.
 */
export async function readForEach(
  model: Model,
  caches: readonly Cache[],
  plans: readonly TurnPlan[],
  ids: Int32Array,
  { logits, signal, onProgress }: ReadForEachOptions,
): Promise<{ prefillSeconds: number; policySeconds: readonly number[]; scratchBytes: number }> {
  const targets = caches.map((cache, index): Target => ({ cache, sequence: 0, plans: [plans[index]!] }));
  const policySeconds = caches.map(() => 0);
  const { scratchBytes, seconds } = await readMessage(model, targets as [Target, ...Target[]], ids, {
    logits,
    signal,
    onProgress: onProgress && ((done, total) => onProgress(done / total)),
    clock: (index, took) => void (policySeconds[index]! += took),
  });
  return { prefillSeconds: seconds - policySeconds.reduce((a, b) => a + b, 0), policySeconds, scratchBytes };
}
