import { Buffers, type Cache } from "@ziggurat/cache";
import type { Slice } from "@ziggurat/tensor";
import { Batch } from "../engine/batch.js";
import { checkSampling } from "../engine/sampling.js";
import { settle } from "../engine/settle.js";
import type { Model } from "../model.js";

/** Tokens enqueued before the caller gets a turn. */
const stretch = 32;

export interface LogProbabilityOptions {
  readonly signal?: AbortSignal;
  /** Told the logits, f32 [vocabulary], after each token is read; the device is waited for then. */
  readonly onLogits?: (logits: Float32Array) => void;
}

/**
 * Feeds ids one by one to the single sequence of a cache that has room for them, and gives each one's log-probability
 * (natural) after those before it. `logits` f32 [vocabulary]: after the last token read; left as they are after the
 * last one fed.
 */
export async function feedTokens(
  model: Model,
  cache: Cache,
  logits: Slice,
  ids: readonly number[],
  { signal, onLogits }: LogProbabilityOptions,
): Promise<Float32Array> {
  const { backend, facts } = model;
  const progress = cache.progress[0]!;
  const vocabulary = facts.vocabularySize;
  const buffers = new Buffers(backend);
  let batch: Batch | undefined;
  try {
    const scores = buffers.allocate(4 * ids.length, "workspace");
    const target = buffers.allocate(4, "workspace");
    batch = await Batch.create(model, cache, [{ sampling: checkSampling({ seed: 0 }), stopTokens: [] }], 1);
    const copy = await backend.prepare("copy", { words: vocabulary });
    const logProbability = await backend.prepare("logProbability", { rows: 1, vocabulary });
    backend.write(cache.tables.ended(), Int32Array.of(0));
    backend.dispatch(copy, { x: logits, out: batch.logits });
    for (const [index, id] of ids.entries()) {
      signal?.throwIfAborted();
      backend.write(target, Int32Array.of(id));
      backend.dispatch(logProbability, {
        logits: batch.logits,
        ids: target,
        out: { buffer: scores.buffer, offset: 4 * index },
      });
      backend.write(batch.tokens, Int32Array.of(id));
      await batch.feed([progress.feed(1, "decode")]);
      if (onLogits) onLogits(new Float32Array((await backend.read(batch.logits, 4 * vocabulary)).buffer));
      else if (index % stretch === stretch - 1) await settle(backend, scores);
    }
    backend.dispatch(copy, { x: batch.logits, out: logits });
    return new Float32Array((await backend.read(scores, 4 * ids.length)).buffer);
  } finally {
    batch?.free();
    buffers.free();
  }
}
