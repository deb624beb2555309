import { Buffers, Cache } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import { Batch } from "../engine/batch.js";
import { decode } from "../engine/decode.js";
import type { RopeLease } from "../engine/rope-tables.js";
import type { TurnMember } from "../engine/turn.js";
import { RequestError } from "../error.js";
import { type GenerateRequest, type GenerateResult, planMember, resultOf } from "../generate.js";
import { checkModel, type Model } from "../model.js";
import { encodePrompt } from "../text/prompt.js";
import { readForEach } from "./read-for-each.js";

export interface GenerateEachOptions extends Omit<GenerateRequest, "policy" | "chunk"> {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly signal?: AbortSignal;
  /** Told while the prompt is read: part done, from 0 to 1. */
  readonly onProgress?: (done: number) => void;
}

/** One policy's answer. Prefill time and scratch are those of the one prefill that all share. */
export interface EachResult extends GenerateResult {
  /**
   * Seconds that the policy took after the prompt's attention: to observe, score, choose and move rows. The watching
   * itself is part of the shared prefill.
   */
  readonly policySeconds: number;
}

/**
 * Answers one prompt under several policies from a single prefill: the prompt's attention is exact and so the same for
 * all, and every policy keeps what it chooses of it. Answers come one after the other, so that their speeds can be
 * compared.
 */
export async function* generateEach({
  model,
  policies,
  signal,
  onProgress,
  ...request
}: GenerateEachOptions): AsyncGenerator<EachResult> {
  if (!Array.isArray(policies) || policies.length === 0)
    throw new RequestError("there are no policies; give at least one");
  checkModel(model);
  if ((request as Partial<GenerateRequest>).chunk !== undefined) {
    throw new RequestError(
      "chunk cannot be had here: one prefill for all policies reads the whole prompt; leave it out, or use generate for each policy",
    );
  }
  signal?.throwIfAborted();
  const { backend, facts, rowDType } = model;
  const { templateVariables } = request;
  const ids = await encodePrompt(model, request.prompt, { templateVariables, signal });
  const caches: Cache[] = [];
  const buffers = new Buffers(backend);
  let lease: RopeLease | undefined;
  try {
    const logits = buffers.allocate(4 * facts.vocabularySize, "workspace");
    const members: TurnMember[] = [];
    for (const policy of policies) {
      const cache = new Cache({
        backend,
        shape: facts.cache,
        dtype: rowDType,
        policies: [policy],
        rope: (layer) => lease!.rope(layer),
      });
      caches.push(cache);
      members.push(planMember(model, cache.progress[0]!, ids, request));
    }
    lease = await model.ropes.lease(Math.max(...members.map(({ plan }) => plan.positions)));
    const plans = members.map(({ plan }) => plan);
    const { prefillSeconds, policySeconds, scratchBytes } = await readForEach(
      model,
      caches,
      plans,
      members[0]!.messages[0]!,
      {
        logits,
        signal,
        onProgress,
      },
    );
    const copy = await backend.prepare("copy", { words: facts.vocabularySize });

    for (const [index, policy] of policies.entries()) {
      const cache = caches[index]!;
      const member = members[index]!;
      const rows = cache.progress[0]!.rows.map((heads) => [...heads]);
      const { sampling, stopTokens, writer } = member;
      const ring = writer.stopsOnText ? 1 : 8;
      const batch = await Batch.create(model, cache, [{ sampling, stopTokens, history: Int32Array.from(ids) }], ring);
      try {
        backend.dispatch(copy, { x: logits, out: batch.logits });
        const begun = performance.now();
        for await (const _ of decode(model, cache, batch, [writer], { readEvery: ring, logits: false, signal }));
        const outcome = {
          prefillSeconds,
          decodeSeconds: (performance.now() - begun) / 1000,
          rowsAfterPrefill: [rows],
          cacheBytes: cache.bytes,
          roomBytes: cache.room,
          peakBytes: cache.bytes + scratchBytes,
          kept: undefined,
        };
        yield { ...resultOf(policy, member, 0, cache, outcome), policySeconds: policySeconds[index]! };
      } finally {
        batch.free();
        cache.free();
      }
    }
  } finally {
    for (const cache of caches) cache.free();
    lease?.release();
    buffers.free();
  }
}
