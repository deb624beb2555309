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

/** What decode is set beside. */
export interface Beside {
  /** Bytes a second that a plain loop reads. */
  readonly bandwidth: number;
  /** Tokens a second of another program with the full cache. */
  readonly peer: { readonly prefill: number; readonly decode: number } | undefined;
}

/** Decode with the full cache and with 12 % of it, from one prefill, and the prefill. Random weights: speed only. */
export async function decode(backend: Backend, shape: string, weights: WeightDType, tokens: number, { bandwidth, peer }: Beside): Promise<void> {
  let dispatches = 0;
  const watched: Backend = {
    ...backend,
    record(body) {
      const program = backend.record(body);
      dispatches = program.dispatches;
      return program;
    },
  };
  const { model, prompt, what } = await load(watched, shape, weights, tokens);
  const few = snapkv({ keep: Math.ceil(0.12 * tokens), window: 32 });
  // Pipelines are compiled, and clocks are up.
  for await (const _ of generateEach({ model, policies: [full(), few], prompt, maxTokens: 17, ignoreEnd: true }));
  for await (const { policy, cache, timings } of generateEach({
    model,
    policies: [full(), few, full(), few],
    prompt,
    maxTokens: 385,
    ignoreEnd: true,
  })) {
    const { prefillTokensPerSecond, decodeTokensPerSecond } = timings;
    const bytes = model.weightBytes + cache.bytes;
    const operations = (prefillOperations(what, tokens) * prefillTokensPerSecond) / tokens;
    const speed = bytes * decodeTokensPerSecond;
    const beside = peer
      ? `; beside the peer ${(prefillTokensPerSecond / peer.prefill).toFixed(2)} x and ${(decodeTokensPerSecond / peer.decode).toFixed(2)} x`
      : "";
    console.log(
      `  ${policy.name.padEnd(8)} prefill ${prefillTokensPerSecond.toFixed(0)} tokens/s, ${(operations / 1e12).toFixed(1)} TFLOP/s   decode ${decodeTokensPerSecond.toFixed(1)} tokens/s, ` +
        `${(speed / 1e9).toFixed(0)} GB/s of weights and cache, ${((100 * speed) / bandwidth).toFixed(0)} % of ${(bandwidth / 1e9).toFixed(0)}; ${dispatches} dispatches of ${(1e6 / decodeTokensPerSecond / dispatches).toFixed(1)} us${beside}`,
    );
  }
  model.free();
}
