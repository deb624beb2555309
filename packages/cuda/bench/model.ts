import { writeFileSync } from "node:fs";
import {
  type LlamaShape,
  llama1b,
  llama8b,
  median,
  prefillOperations,
  randomLlama,
  rowBytes,
  smollm2,
  weightBytes,
} from "@ziggurat/bench-kit";
import { h2o } from "@ziggurat/h2o";
import { full, type Policy } from "@ziggurat/policy";
import { generate, generateBatch, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import type { Backend } from "@ziggurat/tensor";
import { create, cublasLt } from "./create.js";
import { peersIn } from "./peers.js";
import { profiled } from "./profile.js";

// Measures models of random weights against a roofline of 4.3 TB/s and 790 TFLOP/s:
//   node model.mjs [file for the results] [prefill|decode|batch|fit|small|1b]...
// small: a SmolLM2-135M after 8,192 tokens, with the time of every kernel of a step. The others: a Llama-3-8B after
// 32,768 tokens; fit: as many sequences with all rows as fit into memory.
const [file, ...chosen] = process.argv.slice(2);
const parts = chosen.length > 0 ? chosen : ["prefill", "decode", "batch", "fit", "small", "1b"];
const bandwidth = 4.3e12;
const arithmetic = 790e12;
const [tokens, kept] = [32768, 3932];

const results: Record<string, unknown>[] = [];
const report = (what: string, figures: Readonly<Record<string, number>>) => {
  results.push({ what, ...figures });
  const shown = Object.entries(figures).map(([unit, value]) => `${value.toPrecision(4)} ${unit}`);
  console.log(what.padEnd(58), shown.join("  "));
};
/** Pseudo-random tokens. */
const ids = ({ vocabulary }: LlamaShape, count: number, seed: number) => {
  let state = seed;
  return Int32Array.from(
    { length: count },
    () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % vocabulary,
  );
};
const every = 32;
/** The first token is delivered separately. */
const [warm, steps] = [1 + every, 1 + 5 * every];
/**
 * Seconds per step after the first `warm` steps, which prepare and record. The ids of all sequences arrive together.
 */
async function secondsPerStep(
  pieces: AsyncIterable<{ readonly ids: readonly number[] }>,
  sequences: number,
  atEnd?: () => Promise<void>,
): Promise<number> {
  let seen = 0;
  let begun = 0;
  let ended = 0;
  for await (const { ids } of pieces) {
    seen += ids.length;
    if (seen >= warm * sequences) begun ||= performance.now();
    if (seen < steps * sequences) continue;
    ended = performance.now();
    await atEnd?.();
  }
  if (seen !== steps * sequences) throw new Error(`${seen} tokens came, not ${steps * sequences}`);
  return (ended - begun) / 1000 / (steps - warm);
}
const peers = peersIn(process.env.PEERS || ".");
/** Reports a speed beside those of peers. */
function beside(what: string, speed: number): void {
  for (const [peer, theirs] of Object.entries(peers[what] ?? {}))
    report(`  ${what}, beside ${peer}`, { "its tokens/s": theirs, "times it": speed / theirs });
}
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

const backend = await create();
console.log(backend.info.device, JSON.stringify(backend.info.features), cublasLt ?? "without cuBLASLt");

async function load(shape: LlamaShape, backend: Backend) {
  const began = performance.now();
  const model = await loadModel(randomLlama(shape), { backend });
  await backend.synchronise();
  console.log(
    `${model.name}: ${(model.weightBytes / 1e9).toFixed(2)} GB of weights in ${((performance.now() - began) / 1000).toFixed(1)} s`,
  );
  return model;
}
type Loaded = Awaited<ReturnType<typeof load>>;

/** Seconds of a prefill, and the peak bytes of cache and scratch. */
async function prefill(model: Loaded, shape: LlamaShape, policy: Policy) {
  const generation = generate({
    model,
    policy,
    prompt: ids(shape, tokens, 7),
    maxTokens: 1,
    ignoreEnd: true,
    temperature: 0,
  });
  const { timings, cache } = await generation.result;
  return { seconds: timings.prefillSeconds, cache };
}

/** Measures the policies in turn, so that all run under the same conditions. */
async function prefills(model: Loaded): Promise<void> {
  const policies = [full(), snapkv({ keep: kept }), h2o({ keep: kept })];
  for (const policy of policies) await prefill(model, llama8b, policy);
  const seconds: number[][] = policies.map(() => []);
  for (let run = 0; run < 3; run++)
    for (const [i, policy] of policies.entries()) seconds[i]!.push((await prefill(model, llama8b, policy)).seconds);
  const [base] = seconds.map(median);
  for (const [i, policy] of policies.entries()) {
    const { cache } = await prefill(model, llama8b, policy);
    const s = median(seconds[i]!);
    report(`prefill of ${tokens}, ${policy.name}`, {
      s,
      "tokens/s": tokens / s,
      "TFLOP/s": prefillOperations(llama8b, tokens) / s / 1e12,
      "of the roofline": prefillOperations(llama8b, tokens) / s / arithmetic,
      "of full": s / base!,
    });
    const rows = sum(cache.rows.flat()) / llama8b.kvHeads;
    if (policy.name === "full") beside("prefill", tokens / s);
    report(`  K and V at its peak, ${policy.name}`, {
      GB: cache.peakBytes / 1e9,
      "GB, one layer and budgets": (rowBytes(llama8b) / llama8b.layers / 1e9) * (tokens + rows),
    });
  }
}

/** Measures one sequence. `atEnd` is called while the sequence still has its cache. */
async function one(
  model: Loaded,
  shape: LlamaShape,
  count: number,
  policy: Policy,
  rows: number,
  atEnd?: () => Promise<void>,
  bytes = weightBytes(shape),
): Promise<number> {
  const generation = generate({
    model,
    policy,
    prompt: ids(shape, count, 7),
    maxTokens: steps,
    ignoreEnd: true,
    temperature: 0,
    readEvery: every,
  });
  const seconds = await secondsPerStep(generation, 1, atEnd);
  const { cache } = await generation.result;
  report(`decode after ${count}, ${policy.name}, ${cache.rows[0]![0]} rows`, {
    ms: 1000 * seconds,
    "tokens/s": 1 / seconds,
    "of the roofline": (bytes + (rows + steps / 2) * rowBytes(shape)) / bandwidth / seconds,
  });
  return 1 / seconds;
}

/** Reports the time, bytes and share of the roofline of every kind of launch of a step. */
async function profiledStep(what: string, profile: ReturnType<typeof profiled>["profile"]): Promise<void> {
  const { kernels, dispatches, groups } = await profile();
  const total = sum(kernels.map(({ count, us }) => count * us));
  report(`a step, ${what}`, { "dispatches of ops": dispatches, "groups of them": groups, "us in them": total });
  for (const { name, count, us, bytes } of kernels) {
    const share = bytes / bandwidth / (us / 1e6);
    report(`  ${name}`, {
      "a token": count,
      "us each": us,
      "us together": count * us,
      MB: bytes / 1e6,
      "of the roofline": share,
    });
  }
}

/** Measures many sequences of `rows` rows each; returns the tokens per second of all together. */
async function many(model: Loaded, sequences: number, rows: number, atEnd?: () => Promise<void>): Promise<number> {
  const requests = Array.from({ length: sequences }, (_, i) => ({
    ...{ policy: full(), prompt: ids(llama8b, rows, i + 1), maxTokens: steps, ignoreEnd: true, temperature: 0 },
  }));
  const seconds = await secondsPerStep(generateBatch({ model, requests, readEvery: every }), sequences, atEnd);
  report(`decode of ${sequences} sequences, ${rows} rows`, {
    ms: 1000 * seconds,
    "tokens/s": sequences / seconds,
    "of the roofline":
      (weightBytes(llama8b) + sequences * (rows + steps / 2) * rowBytes(llama8b)) / bandwidth / seconds,
  });
  return sequences / seconds;
}

/**
 * The count of sequences of `rows` rows, with room for their answers, that fit beside the memory in use. One layer of
 * the prompt has its full length during prefill.
 */
const fitting = (rows: number) => {
  const scratch = (rowBytes(llama8b) / llama8b.layers) * tokens + 2 ** 30;
  return Math.floor((backend.info.maxBytes - backend.memory().live - scratch) / ((rows + steps) * rowBytes(llama8b)));
};

if (parts.some((part) => part !== "small" && part !== "1b")) {
  const { backend: watched, profile } = profiled(backend);
  const model = await load(llama8b, watched);
  // Loads the kernels.
  await one(model, llama8b, 2048, full(), 2048);
  if (parts.includes("prefill")) await prefills(model);
  if (parts.includes("decode")) {
    const few = await one(model, llama8b, tokens, snapkv({ keep: kept }), kept, () =>
      profiledStep("8B, 12 %", profile),
    );
    beside("decode 12 %", few);
    beside("decode full", few);
    beside("decode full", await one(model, llama8b, tokens, full(), tokens));
  }
  const [whole, few] = [fitting(tokens), fitting(kept)];
  report("sequences that fit", { "with all rows": whole, "with 12 %": few });
  const atEnd = () => profiledStep("8B, 64 sequences of 12 %", profile);
  const batch = parts.includes("batch") ? await many(model, 64, kept - 80, atEnd) : undefined;
  const best = parts.includes("fit") ? await many(model, whole, tokens) : undefined;
  if (batch) beside("batch 64", batch);
  if (batch && best) report("64 sequences of 12 % beside as many of all rows as fit", { times: batch / best });
  console.log(`${(backend.memory().reserved / 2 ** 30).toFixed(1)} GiB reserved`);
  model.free();
}
if (parts.includes("1b")) {
  const { backend: watched, profile } = profiled(backend);
  const model = await loadModel(randomLlama(llama1b), { backend: watched, weights: "q4_0" });
  const atEnd = () => profiledStep("1B in Q4_0, 8,192 rows", profile);
  await one(model, llama1b, 8192, full(), 8192, atEnd, model.weightBytes);
  await one(model, llama1b, 8192, snapkv({ keep: 983 }), 983, undefined, model.weightBytes);
  model.free();
}
if (parts.includes("small")) {
  const { backend: watched, profile } = profiled(backend);
  const model = await loadModel(randomLlama(smollm2), { backend: watched });
  await one(model, smollm2, 8192, full(), 8192);
  await one(model, smollm2, 8192, snapkv({ keep: 983 }), 983, () => profiledStep("SmolLM2 shape, 983 rows", profile));
  model.free();
}
await backend.dispose();
if (file) writeFileSync(file, JSON.stringify({ device: backend.info, results }, undefined, 1));
