import { Cache } from "@ziggurat/cache";
import { full } from "@ziggurat/policy";
import { planWithin } from "../engine/limits.js";
import { readMessage } from "../engine/read-message.js";
import { settle } from "../engine/settle.js";
import { RequestError } from "../error.js";
import { checkModel, type Model } from "../model.js";
import { encodePrompt } from "../text/prompt.js";

/** Tokens whose logits are in memory at a time. */
const tile = 64;

/**
 * The log-probability (natural) of every token of a text but the first, given all before it: one prefill. exp of the
 * mean, negated, is the perplexity. Rejects with a `RequestError` where there are fewer than two tokens, or more than
 * the model reads.
 */
export async function logProbabilities(
  model: Model,
  ids: readonly number[] | Int32Array,
  signal?: AbortSignal,
): Promise<Float32Array> {
  checkModel(model);
  const tokens = Int32Array.from(await encodePrompt(model, ids));
  const count = tokens.length - 1;
  if (count < 1) throw new RequestError("one token has nothing before it; give at least two");
  const { backend, facts, rowDType } = model;
  const { vocabularySize: vocabulary } = facts;
  const cache = new Cache({ backend, shape: facts.cache, dtype: rowDType, policies: [full()], rope: () => undefined });
  const rows = Math.min(tile, count);
  const logits = { buffer: backend.allocate(4 * rows * vocabulary, "workspace"), offset: 0 };
  const scores = { buffer: backend.allocate(4 * count, "workspace"), offset: 0 };
  const next = { buffer: backend.allocate(4 * count, "workspace"), offset: 0 };
  let lease: Awaited<ReturnType<Model["ropes"]["lease"]>> | undefined;
  try {
    const { plan } = planWithin(model, cache.progress[0]!, [tokens], 1);
    lease = await model.ropes.lease(plan.positions);
    cache.rope = lease.rope;
    backend.write(next, tokens.subarray(1));
    await readMessage(model, [{ cache, sequence: 0, plans: [plan] }], tokens, {
      logits,
      signal,
      async after(hidden) {
        for (let first = 0; first < count; first += rows) {
          const part = Math.min(rows, count - first);
          const kernel = await backend.prepare("logProbability", { rows: part, vocabulary });
          (await hidden.forward(part)).head(hidden.at(first), logits);
          const at = (slice: typeof next) => ({ ...slice, offset: 4 * first });
          backend.dispatch(kernel, { logits, ids: at(next), out: at(scores) });
          await settle(backend, at(scores));
          signal?.throwIfAborted();
        }
      },
    });
    return new Float32Array((await backend.read(scores, 4 * count)).buffer);
  } finally {
    lease?.release();
    cache.free();
    for (const { buffer } of [logits, scores, next]) backend.free(buffer);
  }
}
