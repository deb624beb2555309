import type { Cache, RopeOf } from "@ziggurat/cache";
import { Buffers, type Slice } from "@ziggurat/tensor";
import { Batch } from "../engine/batch.js";
import { checkSampling } from "../engine/sampling.js";
import { settle } from "../engine/settle.js";
import type { Model } from "../model.js";

/** Tokens enqueued before the caller's thread is released. */
const stretch = 32;

export interface LogProbabilityOptions {
  readonly signal?: AbortSignal;
  /** Called with the logits, f32 [vocabulary], after each token is read; the device is waited for then. */
  readonly onLogits?: (logits: Float32Array) => void;
}

export interface FeedOptions extends LogProbabilityOptions {
  /** The rotation tables. */
  readonly rope: RopeOf;
}

/**
 * Feeds ids one by one to the single sequence of a cache that has room for them; resolves to each one's log-probability
 * (natural) after those before it. `logits` f32 [vocabulary]: those after the last token read; holds those after the
 * last one fed in the end.
 */
export async function feedTokens(
  model: Model,
  cache: Cache,
  logits: Slice,
  ids: readonly number[],
  { rope, signal, onLogits }: FeedOptions,
): Promise<Float32Array> {
  const { backend, facts } = model;
  const vocabulary = facts.vocabularySize;
  const buffers = new Buffers(backend);
  let batch: Batch | undefined;
  try {
    const found = buffers.allocate(4 * ids.length, "workspace");
    const target = buffers.allocate(4, "workspace");
    const members = [{ sampling: checkSampling({ seed: 0 }), stopTokens: [] }];
    batch = await Batch.create(model, cache, members, { ring: 1, rope });
    const copy = await backend.prepare("copy", { words: vocabulary });
    const logProbability = await backend.prepare("logProbability", { rows: 1, vocabulary });
    cache.resume(0);
    backend.dispatch(copy, { x: logits, out: batch.logits });
    for (const [index, id] of ids.entries()) {
      signal?.throwIfAborted();
      backend.write(target, Int32Array.of(id));
      const out = { buffer: found.buffer, offset: 4 * index };
      backend.dispatch(logProbability, { logits: batch.logits, ids: target, out });
      backend.write(batch.tokens, Int32Array.of(id));
      await batch.feed([0]);
      if (onLogits) onLogits(new Float32Array((await backend.read(batch.logits, 4 * vocabulary)).buffer));
      else if (index % stretch === stretch - 1) await settle(backend, found);
    }
    backend.dispatch(copy, { x: batch.logits, out: logits });
    return new Float32Array((await backend.read(found, 4 * ids.length)).buffer);
  } finally {
    batch?.free();
    buffers.free();
  }
}
