import { median, randomIds, table } from "@ziggurat/bench-kit";
import { full } from "@ziggurat/policy";
import { generateEach } from "@ziggurat/runtime/evaluate";
import { snapkv } from "@ziggurat/snapkv";
import { randomOnCpu, type Setting } from "./setting.js";

const written = 65;

/**
 * GB/s that as many threads read in a plain loop of four row streams each: the yardstick of packages/cpu/bench, which
 * needs the checkout.
 */
async function streamRate(threads: number): Promise<number> {
  const { href } = new URL("../../../packages/cpu/bench/yardsticks.mjs", import.meta.url);
  const yardsticks: { streamRate: (threads: number) => Promise<number> } = await import(href);
  return await yardsticks.streamRate(threads);
}

/** Decode with the full cache and with 12 % of it, from one prefill, interleaved. Random weights: speed only. */
export async function decode(setting: Setting): Promise<void> {
  const { threads, runs, tokens } = setting;
  const { model, title } = await randomOnCpu(setting);
  const keep = Math.ceil(tokens * 0.12);
  const policies = Array.from({ length: runs }, () => [full(), snapkv({ keep, window: 32 })]).flat();
  const streams = [await streamRate(threads)];
  const speeds = new Map<string, number[]>();
  const bytes = new Map<string, number>();
  for await (const result of generateEach({
    model,
    policies,
    prompt: randomIds(tokens, model.facts.vocabularySize, 3),
    maxTokens: written,
  })) {
    speeds.set(result.policy.name, [...(speeds.get(result.policy.name) ?? []), result.timings.decodeTokensPerSecond]);
    bytes.set(result.policy.name, result.cache.bytes);
  }
  await model.backend.synchronise();
  streams.push(await streamRate(threads));
  const stream = Math.max(...streams);
  const rate = (name: string) => median(speeds.get(name)!);
  console.log(`${title}, bf16 rows, median of ${runs} interleaved runs of ${written} tokens`);
  console.log(
    `a plain loop of four row streams (f32) a thread, the better of before and after: ${stream.toFixed(1)} GB/s`,
  );
  const read = (name: string) => ((model.weightBytes + bytes.get(name)!) * rate(name)) / 1e9;
  console.log(
    table([
      ["policy", "tokens/s", "of full", "weights + K/V GB/s", "of the loop"],
      ...["full", "snapkv"].map((name) => [
        name,
        rate(name).toFixed(1),
        `${(rate(name) / rate("full")).toFixed(2)} x`,
        read(name).toFixed(2),
        `${((100 * read(name)) / stream).toFixed(0)} %`,
      ]),
    ]),
  );
  await model.backend.dispose();
}
