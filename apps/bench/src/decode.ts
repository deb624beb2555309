import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { generateEach, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { pebbleShape, randomModel, smol } from "./random-model.js";
import { median, randomIds, table } from "./report.js";

/** Decode with the full cache and with 12 % of it, from one prefill, interleaved. Random weights: speed only. */
export async function decode({
  threads,
  runs,
  tokens,
  shape,
}: {
  threads: number;
  runs: number;
  tokens: number;
  shape: "pebble" | "smol";
}): Promise<void> {
  const backend = await cpu({ threads });
  const chosen = shape === "smol" ? smol : pebbleShape;
  const model = await loadModel(randomModel(chosen), { backend, weights: "q8_0" });
  const keep = Math.ceil(tokens * 0.12);
  const policies = Array.from({ length: runs }, () => [full(), snapkv({ keep, window: 32 })]).flat();
  const speeds = new Map<string, number[]>();
  const bytes = new Map<string, number>();
  for await (const result of generateEach({ model, policies, prompt: randomIds(tokens, model.facts.vocabularySize, 3), maxTokens: 33 })) {
    speeds.set(result.policy.name, [...(speeds.get(result.policy.name) ?? []), result.timings.decodeTokensPerSecond]);
    bytes.set(result.policy.name, result.cache.bytes);
  }
  const rate = (name: string) => median(speeds.get(name)!);
  console.log(`${chosen.name}, q8_0, ${tokens} tokens, bf16 rows, ${threads} threads, median of ${runs} interleaved runs of 33 tokens`);
  console.log(
    table([
      ["policy", "tokens/s", "of full", "weights + K/V GB/s"],
      ...["full", "snapkv"].map((name) => [
        name,
        rate(name).toFixed(1),
        `${(rate(name) / rate("full")).toFixed(2)} x`,
        (((model.weightBytes + bytes.get(name)!) * rate(name)) / 1e9).toFixed(2),
      ]),
    ]),
  );
  await backend.dispose();
}
