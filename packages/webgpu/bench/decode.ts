import { full } from "@ziggurat/policy";
import { generateEach, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import type { Backend, WeightDType } from "@ziggurat/tensor";
import { pebbleShape, randomModel, type Shape, smol } from "../../../apps/bench/src/random-model.js";

const shapes: Readonly<Record<string, Shape>> = {
  pebble: pebbleShape,
  smol,
  "1b": {
    name: "Llama-3.2-1B shape, random weights",
    ...{
      layers: 16,
      hiddenSize: 2048,
      queryHeads: 32,
      kvHeads: 8,
      headSize: 64,
      intermediateSize: 8192,
      vocabularySize: 128256,
      contextLength: 65536,
    },
  },
  "8b": {
    name: "Llama-3-8B shape, random weights",
    ...{
      layers: 32,
      hiddenSize: 4096,
      queryHeads: 32,
      kvHeads: 8,
      headSize: 128,
      intermediateSize: 14336,
      vocabularySize: 128256,
      contextLength: 65536,
    },
  },
};

/** Random weights of a shape on a backend, and a prompt. */
export async function load(backend: Backend, shape: string, weights: WeightDType, tokens: number) {
  const what = shapes[shape];
  if (!what) throw new RangeError(`there is no shape ${shape}; there are ${Object.keys(shapes).join(", ")}`);
  const model = await loadModel(randomModel(what), { backend, weights, rows: "f16" });
  const prompt = Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % what.vocabularySize);
  console.log(`${what.name}, ${weights}, ${tokens} tokens, f16 rows`);
  return { model, prompt, what };
}

/** Floating-point operations of a prefill: products of weights, and attention to what comes before. */
function prefillOperations({ layers, hiddenSize, queryHeads, kvHeads, headSize, intermediateSize }: Shape, tokens: number): number {
  const weights = hiddenSize * (2 * queryHeads + 2 * kvHeads) * headSize + 3 * hiddenSize * intermediateSize;
  return layers * (2 * weights * tokens + 2 * tokens * tokens * queryHeads * headSize);
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
