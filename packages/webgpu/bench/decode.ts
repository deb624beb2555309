import {
  type LlamaShape,
  llama1b,
  llama8b,
  median,
  pebble,
  prefillOperations,
  randomLlama,
  smollm2,
} from "@ziggurat/bench-kit";
import { full, type Policy } from "@ziggurat/policy";
import { generate, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import type { Backend, WeightDType } from "@ziggurat/tensor";

const shapes: Readonly<Record<string, LlamaShape>> = { pebble, smol: smollm2, "1b": llama1b, "8b": llama8b };
/** Tokens between two reads of ids. */
const every = 32;
/** Tokens before the clock starts, which record the step, and all tokens. */
const [warm, all] = [1 + every, 1 + 9 * every];

/** Loads random weights of a shape, or of its first layers, and makes a prompt. */
export async function load(backend: Backend, shape: string, weights: WeightDType, tokens: number, layers?: number) {
  const whole = shapes[shape];
  if (!whole) throw new RangeError(`there is no shape ${shape}; there are ${Object.keys(shapes).join(", ")}`);
  const what = { ...whole, layers: layers ?? whole.layers };
  const model = await loadModel(randomLlama(what), { backend, weights, rows: "f16" });
  const prompt = Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % what.vocabulary);
  console.log(`${model.name}, ${what.layers} layers, ${weights}, ${tokens} tokens, f16 rows`);
  return { model, prompt, what };
}

/** Figures to compare with, and the number of measurements. */
export interface Beside {
  /** Bytes a second of a plain loop. */
  readonly bandwidth: number;
  /** Tokens a second of another program with the full cache, for a prompt of `tokens`. */
  readonly peer: (tokens: number) => { readonly prefill: number; readonly decode: number } | undefined;
  readonly rounds: number;
  readonly layers: number | undefined;
}

/**
 * Measures prefill and decode with the full cache and with 12 % of it, in turn, and prints medians. Random weights:
 * only speed has meaning.
 */
export async function decode(
  backend: Backend,
  shape: string,
  weights: WeightDType,
  lengths: readonly number[],
  { bandwidth, peer, rounds, layers }: Beside,
): Promise<void> {
  let dispatches = 0;
  const watched: Backend = {
    ...backend,
    record(body) {
      const program = backend.record(body);
      dispatches = Math.max(dispatches, program.dispatches);
      return program;
    },
  };
  const { model, prompt, what } = await load(watched, shape, weights, Math.max(...lengths), layers);
  for (const tokens of lengths) {
    const run = async (policy: Policy) => {
      const generation = generate({
        ...{ model, policy, prompt: prompt.slice(0, tokens), maxTokens: all },
        ...{ ignoreEnd: true, temperature: 0, readEvery: every },
      });
      let seen = 0;
      let begun = 0;
      for await (const { ids } of generation) {
        seen += ids.length;
        if (seen >= warm) begun ||= performance.now();
      }
      const decodeSpeed = (1000 * (all - warm)) / (performance.now() - begun);
      const { timings, cache } = await generation.result;
      return { prefillSpeed: timings.prefillTokensPerSecond, decodeSpeed, bytes: model.weightBytes + cache.bytes };
    };
    const policies = [full(), snapkv({ keep: Math.ceil(0.12 * tokens), window: 32 })];
    // The first runs compile pipelines and raise the clocks.
    for (const policy of policies) await run(policy);
    const runs = policies.map((): Awaited<ReturnType<typeof run>>[] => []);
    for (let round = 0; round < rounds; round++)
      for (const [index, policy] of policies.entries()) runs[index]!.push(await run(policy));
    const other = peer(tokens);
    for (const [index, { name }] of policies.entries()) {
      const prefillSpeed = median(runs[index]!.map((run) => run.prefillSpeed));
      const decodeSpeed = median(runs[index]!.map((run) => run.decodeSpeed));
      const speed = runs[index]![0]!.bytes * decodeSpeed;
      const operations = (prefillOperations(what, tokens) * prefillSpeed) / tokens;
      const ratio = (ours: number, theirs: number | undefined, what: string) =>
        theirs === undefined ? "" : `, ${(ours / theirs).toFixed(2)} x ${what}`;
      const share = `${((100 * speed) / bandwidth).toFixed(0)} % of ${(bandwidth / 1e9).toFixed(0)}`;
      console.log(
        [
          `  ${tokens} tokens, ${name}: prefill ${prefillSpeed.toFixed(0)} tokens/s`,
          `${(operations / 1e12).toFixed(1)} TFLOP/s${ratio(prefillSpeed, other?.prefill, "the peer")}`,
          `decode ${decodeSpeed.toFixed(1)} tokens/s${ratio(decodeSpeed, other?.decode, "the peer with the full cache")}`,
          `${(speed / 1e9).toFixed(0)} GB/s of weights and cache, ${share}`,
          `${dispatches} dispatches of ${(1e6 / decodeSpeed / dispatches).toFixed(1)} us`,
        ].join("; "),
      );
    }
  }
  model.free();
}
