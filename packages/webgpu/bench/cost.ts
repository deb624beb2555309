import { median } from "@ziggurat/bench-kit";
import { h2o } from "@ziggurat/h2o";
import { full } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { generate } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import type { Backend, WeightDType } from "@ziggurat/tensor";
import { load } from "./decode.js";

/**
 * Measures prefills under each policy in turn, and the bytes of their caches. Random weights: only speed has meaning.
 */
export async function cost(
  backend: Backend,
  shape: string,
  weights: WeightDType,
  tokens: number,
  runs: number,
  layers?: number,
): Promise<void> {
  const { model, prompt } = await load(backend, shape, weights, tokens, layers);
  const keep = Math.ceil(0.12 * tokens);
  const policies = [full(), snapkv({ keep, window: 32 }), pyramidkv({ keep, window: 32 }), h2o({ keep })];
  const seconds = policies.map((): number[] => []);
  const bytes: number[] = [];
  for (let run = -1; run < runs; run++) {
    for (const [index, policy] of policies.entries()) {
      const { timings, cache } = await generate({
        model,
        policy,
        prompt,
        maxTokens: 1,
        ignoreEnd: true,
        temperature: 0,
      }).result;
      // The first compiles pipelines.
      if (run >= 0) seconds[index]!.push(timings.prefillSeconds);
      bytes[index] = cache.bytes;
    }
  }
  const base = median(seconds[0]!);
  for (const [index, { name }] of policies.entries()) {
    const all = seconds[index]!;
    const time = median(all);
    const range = `${(1000 * Math.min(...all)).toFixed(1)} to ${(1000 * Math.max(...all)).toFixed(1)}`;
    console.log(
      [
        `  ${name.padEnd(10)} prefill ${(1000 * time).toFixed(1)} ms (${range})`,
        `${(tokens / time).toFixed(0)} tokens/s, ${(time / base).toFixed(3)} of full`,
        `${bytes[index]} bytes of cache`,
      ].join("; "),
    );
  }
  model.free();
}
