import { cpu } from "@ziggurat/cpu";
import { h2o } from "@ziggurat/h2o";
import { pebble, words } from "@ziggurat/pebble";
import { afterPrefill, every, full, last, type Policy, perHead, randomScore } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { generate, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import type { Backend } from "@ziggurat/tensor";
import { expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { webgpu } from "../src/index.js";
import { adapterThere, gpu } from "./gpu.js";

/** Two budgets per layer, one per KV head; compressed after the prompt and at every third token. */
const ragged: Policy = {
  name: "ragged",
  budget: perHead(12, 28),
  score: randomScore(3),
  protect: last(4),
  schedule: (step) => afterPrefill()(step) || every(3)(step),
};
const policies: readonly Policy[] = [
  full(),
  streaming({ keep: 20, sinks: 4 }),
  h2o({ keep: 20, recent: 10 }),
  snapkv({ keep: 20, window: 8 }),
  pyramidkv({ keep: 20, window: 8 }),
  ragged,
];

async function answers(backend: Backend, prompt: string) {
  const model = await loadModel(pebble(), { backend, rows: "f32" });
  const results = [];
  for (const policy of policies) results.push(await generate({ model, policy, prompt, maxTokens: 6, ignoreEnd: true, kept: true }).result);
  await backend.dispose();
  return results.map(({ policy, ids, text, cache: { kept, bytes } }) => ({ policy, ids, text, kept, bytes }));
}

testWith(
  adapterThere,
  "Pebble says on WebGPU what it says on the CPU, from the same rows in the same bytes, under every policy",
  async () => {
    const { heldout } = await words();
    const lines = Array.from({ length: 4 }, (_, line) => `The code of ${heldout[line]} is ${heldout[100 + line]}.`);
    const prompt = `${lines.join("\n")}\nWhat is the code of ${heldout[3]}?`;
    const expected = await answers(await cpu({ threads: 2 }), prompt);
    const got = await answers(await webgpu({ gpu }), prompt);
    expect(expected.filter(({ policy }) => policy.evicted > 0).length).toBe(policies.length - 1);
    for (const [index, { policy, ...rest }] of expected.entries()) expect(got[index], policy.name).toEqual({ policy, ...rest });
  },
  600_000,
);
