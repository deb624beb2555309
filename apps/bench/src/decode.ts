import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { generateEach, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { pebbleShape, randomModel, smol } from "./random-model.js";
import { median, randomIds, table } from "./report.js";

/** GB/s that as many threads read as a plain loop of four streams each: the yardstick of packages/cpu/bench, which needs the checkout. */
async function streamRate(threads: number): Promise<number> {
  const { href } = new URL("../../../packages/cpu/bench/yardsticks.mjs", import.meta.url);
  const yardsticks: { streamRate: (threads: number) => Promise<number> } = await import(href);
  return await yardsticks.streamRate(threads);
}

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
  const streams = [await streamRate(threads)];
  const speeds = new Map<string, number[]>();
  const bytes = new Map<string, number>();
  for await (const result of generateEach({ model, policies, prompt: randomIds(tokens, model.facts.vocabularySize, 3), maxTokens: 33 })) {
    speeds.set(result.policy.name, [...(speeds.get(result.policy.name) ?? []), result.timings.decodeTokensPerSecond]);
    bytes.set(result.policy.name, result.cache.bytes);
  }
  await backend.synchronise();
  streams.push(await streamRate(threads));
  const stream = Math.max(...streams);
  const rate = (name: string) => median(speeds.get(name)!);
  console.log(`${chosen.name}, q8_0, ${tokens} tokens, bf16 rows, ${threads} threads, median of ${runs} interleaved runs of 33 tokens`);
  console.log(`four streams a thread, the better of before and after: ${stream.toFixed(1)} GB/s`);
  const read = (name: string) => ((model.weightBytes + bytes.get(name)!) * rate(name)) / 1e9;
  console.log(
    table([
      ["policy", "tokens/s", "of full", "weights + K/V GB/s", "of the streams"],
      ...["full", "snapkv"].map((name) => [
        name,
        rate(name).toFixed(1),
        `${(rate(name) / rate("full")).toFixed(2)} x`,
        read(name).toFixed(2),
        `${((100 * read(name)) / stream).toFixed(0)} %`,
      ]),
    ]),
  );
  await backend.dispose();
}
