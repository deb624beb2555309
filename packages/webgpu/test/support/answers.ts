import { pebble, words } from "@ziggurat/pebble";
import { type GenerateResult, generate, loadModel } from "@ziggurat/runtime";
import type { Backend } from "@ziggurat/tensor";
import { policies } from "./policies.js";

/** A short document of facts in words that Pebble never saw as keys or values, and a question about the last. */
export async function question(): Promise<string> {
  const { heldout } = await words();
  const lines = Array.from({ length: 4 }, (_, line) => `The code of ${heldout[line]} is ${heldout[100 + line]}.`);
  return `${lines.join("\n")}\nWhat is the code of ${heldout[3]}?`;
}

/** What Pebble wrote under each policy, from which rows and in how many bytes. The backend is disposed of. */
export async function answers(backend: Backend, prompt: string) {
  const model = await loadModel(pebble(), { backend, rows: "f32" });
  const results: GenerateResult[] = [];
  for (const policy of policies) results.push(await generate({ model, policy, prompt, maxTokens: 6, ignoreEnd: true, kept: true }).result);
  await backend.dispose();
  return results.map(({ policy, ids, text, cache: { kept, bytes } }) => ({ policy, ids, text, kept, bytes }));
}
