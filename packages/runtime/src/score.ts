import type { Cache } from "@ziggurat/cache";
import type { Slice } from "@ziggurat/tensor";
import { Batch } from "./batch.js";
import type { Model } from "./model.js";
import { checkSampling } from "./sampling.js";

/** Tokens enqueued before the caller gets a turn. */
const stretch = 32;

/**
 * Feeds ids one by one to the single sequence of a cache that has room for them, and gives each one's log-probability (natural) after those before it. `logits` f32
 * [vocabulary]: after the last token read; left as they are after the last one fed.
 */
export async function feedAndScore(
  model: Model,
  cache: Cache,
  logits: Slice,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const { backend, facts } = model;
  const progress = cache.progress[0]!;
  const vocabulary = facts.vocabularySize;
  const scores = backend.allocate(4 * ids.length, "workspace");
  const target = { buffer: backend.allocate(4, "workspace"), offset: 0 };
  let batch: Batch | undefined;
  try {
    batch = await Batch.create(model, cache, [{ sampling: checkSampling({ seed: 0 }), stopTokens: [] }], 1);
    const copy = await backend.prepare("copy", { words: vocabulary });
    const logProbability = await backend.prepare("logProbability", { rows: 1, vocabulary });
    backend.write(cache.tables.ended(), Int32Array.of(0));
    backend.dispatch(copy, { x: logits, out: batch.logits });
    for (const [index, id] of ids.entries()) {
      signal?.throwIfAborted();
      backend.write(target, Int32Array.of(id));
      backend.dispatch(logProbability, { logits: batch.logits, ids: target, out: { buffer: scores, offset: 4 * index } });
      backend.write(batch.tokens, Int32Array.of(id));
      await batch.feed([progress.feed(1, "decode")]);
      if (index % stretch === stretch - 1) await backend.synchronise();
    }
    backend.dispatch(copy, { x: batch.logits, out: logits });
    return new Float32Array((await backend.read({ buffer: scores, offset: 0 }, 4 * ids.length)).buffer);
  } finally {
    batch?.free();
    backend.free(scores);
    backend.free(target.buffer);
  }
}
