import { pebble, words } from "@ziggurat/pebble";
import { type GenerateResult, generate, generateBatch, loadModel, type Model } from "@ziggurat/runtime";
import type { Backend } from "@ziggurat/tensor";
import { policies, ragged } from "./policies.js";

/** Facts in words that Pebble never saw as keys or values. */
async function facts(count: number) {
  const { heldout } = await words();
  const all = Array.from({ length: count }, (_, line) => ({ name: heldout[line]!, code: heldout[100 + line]! }));
  return {
    lines: all.map(({ name, code }) => `The code of ${name} is ${code}.`),
    ask: (line: number) => `What is the code of ${all[line]!.name}?`,
  };
}

/** A short document and a question about its last line. */
export async function question(): Promise<string> {
  const { lines, ask } = await facts(4);
  return `${lines.join("\n")}\n${ask(3)}`;
}

/** Two documents of different lengths. */
async function questions(): Promise<readonly string[]> {
  const { lines, ask } = await facts(5);
  return [`${lines.join("\n")}\n${ask(0)}`, `${lines.slice(1, 4).join("\n")}\n${ask(2)}`];
}

/**
 * The result of one generation. `gaps` has the difference of the two largest logits at every choice, relative to the
 * larger; it is empty if not requested.
 */
export interface Answer {
  readonly policy: string;
  readonly evicted: number;
  readonly ids: readonly number[];
  readonly text: string;
  readonly kept: GenerateResult["cache"]["kept"];
  readonly bytes: number;
  /** Bytes including the scratch memory of the prefill. */
  readonly peakBytes: number;
  readonly gaps: readonly number[];
}

const answerOf = (
  { policy, ids, text, cache: { kept, bytes, peakBytes } }: GenerateResult,
  gaps: readonly number[],
): Answer => ({
  ...{ policy: policy.name, evicted: policy.evicted, ids, text, kept, bytes, peakBytes, gaps },
});

function gapOf(logits: Float32Array): number {
  const [first, second] = logits.toSorted().slice(-2).reverse();
  return (first! - second!) / Math.abs(first!);
}

const common = { maxTokens: 6, ignoreEnd: true, kept: true } as const;

async function alone(model: Model, prompt: string, gaps: boolean): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const policy of policies) {
    const generation = generate({ model, policy, prompt, ...common, logits: gaps });
    const found: number[] = [];
    for await (const { logits } of generation) if (logits) found.push(gapOf(logits));
    answers.push(answerOf(await generation.result, found));
  }
  return answers;
}

/** Two sequences under different policies, decoded together. */
async function together(model: Model): Promise<Answer[]> {
  const prompts = await questions();
  const [snapkv] = policies.filter(({ name }) => name === "snapkv");
  const requests = [snapkv!, ragged].map((policy, index) => ({
    policy,
    prompt: prompts[index]!,
    maxTokens: 6,
    ignoreEnd: true,
  }));
  return (await generateBatch({ model, requests, kept: true }).result).map((result) => answerOf(result, []));
}

/**
 * The answers of Pebble under each policy, with kept rows and bytes, then those of two sequences in a batch. Disposes
 * of the backend.
 */
export async function answers(backend: Backend, prompt: string, { gaps = false } = {}): Promise<Answer[]> {
  const model = await loadModel(pebble(), { backend, rows: "f32" });
  const all = [...(await alone(model, prompt, gaps)), ...(await together(model))];
  model.free();
  const { live } = backend.memory();
  await backend.dispose();
  if (live !== 0) throw new Error(`${live} bytes are left after the model was freed`);
  return all;
}

/** Relative gap of two logits below which backends may choose differently. */
const tie = 1e-4;

/**
 * Describes the answers that differ. Tokens may differ after a choice between logits closer than 1e-4, which is
 * printed; rows and bytes may not.
 */
export function differences(expected: readonly Answer[], got: readonly Answer[]): string[] {
  return expected.flatMap((want, index) => {
    const { gaps: _, ...answer } = got[index]!;
    const { gaps, ...rest } = want;
    const at = rest.ids.findIndex((id, token) => id !== answer.ids[token]);
    if (at >= 0 && gaps[at] !== undefined && gaps[at] < tie) {
      console.log(`${want.policy}: token ${at} was chosen between logits ${gaps[at]} apart; the rest is not compared`);
      return [];
    }
    return JSON.stringify(answer) === JSON.stringify(rest)
      ? []
      : [`${want.policy}: expected ${JSON.stringify(rest)}, got ${JSON.stringify(answer)}`];
  });
}
