import type { Account } from "@ziggurat/cache";
import { full } from "@ziggurat/policy";
import { Buffers, type Slice } from "@ziggurat/tensor";
import { planWithin } from "../engine/limits.js";
import { settle } from "../engine/settle.js";
import { RequestError } from "../error.js";
import { checkModel, type Model } from "../model.js";
import { checkSignal } from "../options.js";
import { encodePrompt } from "../text/prompt.js";
import { readForPolicies } from "./read-for-policies.js";

/** Tokens whose logits are in memory at a time. */
const tile = 64;

/**
 * The log-probability (natural) of every token of a text but the first, given all before it, from one prefill. exp of
 * the mean, negated, is the perplexity. Rejects with a `RequestError` if there are fewer than two tokens, or more than
 * the model reads.
 */
export async function logProbabilities(
  model: Model,
  ids: readonly number[] | Int32Array,
  signal?: AbortSignal,
): Promise<Float32Array> {
  checkModel(model);
  checkSignal(signal);
  const tokens = Int32Array.from(await encodePrompt(model, ids));
  const count = tokens.length - 1;
  if (count < 1) throw new RequestError("one token has nothing before it; give at least two");
  const { backend, facts } = model;
  const { vocabularySize: vocabulary } = facts;
  const buffers = new Buffers(backend);
  try {
    const rows = Math.min(tile, count);
    const logits = buffers.allocate(4 * rows * vocabulary, "workspace");
    const found = buffers.allocate(4 * count, "workspace");
    const next = buffers.allocate(4 * count, "workspace");
    backend.write(next, tokens.subarray(1));
    const plan = async (account: Account) => (await planWithin(model, account, [tokens.length], 1, signal)).plan;
    const read = await readForPolicies(model, [full()], tokens, plan, {
      signal,
      async after(hidden) {
        for (let first = 0; first < count; first += rows) {
          const part = Math.min(rows, count - first);
          const kernel = await backend.prepare("logProbability", { rows: part, vocabulary });
          (await hidden.forward(part)).head(hidden.at(first), logits);
          const at = (slice: Slice) => ({ ...slice, offset: 4 * first });
          backend.dispatch(kernel, { logits, ids: at(next), out: at(found) });
          await settle(backend, at(found));
          signal?.throwIfAborted();
        }
      },
    });
    read.free();
    return new Float32Array((await backend.read(found, 4 * count)).buffer);
  } finally {
    buffers.free();
  }
}
