import { full } from "@ziggurat/policy";
import { generateEach, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import type { Backend, WeightDType } from "@ziggurat/tensor";
import { type LlamaShape, llama1b, llama8b, pebble, prefillOperations, randomLlama, smollm2 } from "../../../apps/bench/src/random-llama.js";

const shapes: Readonly<Record<string, LlamaShape>> = { pebble, smol: smollm2, "1b": llama1b, "8b": llama8b };

/** Random weights of a shape on a backend, and a prompt. */
export async function load(backend: Backend, shape: string, weights: WeightDType, tokens: number) {
  const what = shapes[shape];
  if (!what) throw new RangeError(`there is no shape ${shape}; there are ${Object.keys(shapes).join(", ")}`);
  const model = await loadModel(randomLlama(what), { backend, weights, rows: "f16" });
  const prompt = Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % what.vocabulary);
  console.log(`${model.name}, ${weights}, ${tokens} tokens, f16 rows`);
  return { model, prompt, what };
}

/** Decode with the full cache and with 12 % of it, from one prefill, and the prefill. Random weights: speed only. */
export async function decode(backend: Backend, shape: string, weights: WeightDType, tokens: number): Promise<void> {
  const { model, prompt, what } = await load(backend, shape, weights, tokens);
  // Pipelines are compiled, and clocks are up.
  for await (const _ of generateEach({
    model,
    policies: [full(), snapkv({ keep: Math.ceil(0.12 * tokens), window: 32 })],
    prompt,
    maxTokens: 17,
    ignoreEnd: true,
  }));
  const policies = [full(), snapkv({ keep: Math.ceil(0.12 * tokens), window: 32 }), full(), snapkv({ keep: Math.ceil(0.12 * tokens), window: 32 })];
  for await (const { policy, cache, timings } of generateEach({ model, policies, prompt, maxTokens: 385, ignoreEnd: true })) {
    const { prefillTokensPerSecond, decodeTokensPerSecond } = timings;
    const bytes = model.weightBytes + cache.bytes;
    const operations = (prefillOperations(what, tokens) * prefillTokensPerSecond) / tokens;
    console.log(
      `  ${policy.name.padEnd(8)} prefill ${prefillTokensPerSecond.toFixed(0)} tokens/s, ${(operations / 1e12).toFixed(1)} TFLOP/s   decode ${decodeTokensPerSecond.toFixed(1)} tokens/s, ${((bytes * decodeTokensPerSecond) / 1e9).toFixed(0)} GB/s of weights and cache`,
    );
  }
  model.free();
}
