import type { Policy } from "@ziggurat/policy";
import { type Backend, reference } from "@ziggurat/tensor";
import { describe, expect, test } from "vitest";
import { checkRun } from "./plain-cache.js";
import { randomFrom } from "./random.js";
import { type PolicyOutcome, type PolicyTurn, type RawLayer, type RunPolicyResult, runPolicy } from "./run-policy.js";

export interface TestPolicyOptions {
  /** Backends to compare with the float64 reference. */
  readonly backends?: readonly { readonly name: string; create(): Promise<Backend> }[];
  /** Whether the policy is meant to evict. Default true: a run that evicts nothing fails, since it proves nothing. */
  readonly evicts?: boolean;
  /** Tokens of the prompt. Default 96; it must be longer than what the policy keeps. */
  readonly tokens?: number;
  /** Default 1. */
  readonly seed?: number;
}

const layers = 3;
const steps = 6;
/**
 * What follows the prompt and its steps: a second message with steps, a third that is read in two chunks, and steps
 * after a turn without a message.
 */
const later: readonly { readonly message?: number; readonly steps?: number }[] = [
  { message: 24, steps: 2 },
  { message: 9 },
  { message: 14 },
  { steps: 2 },
];
const headSize = 8;
/** Numbers of the output projection's result. */
const hidden = 5;
const ropeTheta = 10_000;

/** Heads of one run: query heads that share KV heads, and one KV head for every query head. */
const shapes = [
  { queryHeads: 4, kvHeads: 2 },
  { queryHeads: 3, kvHeads: 3 },
] as const;

/**
 * Declares the vitest tests that every policy must pass. After every message and every step of a conversation, the
 * cache holds the rows that a cache of plain arrays holds under the policy's budget, schedule, score and protection,
 * and it attends to exactly those. No more rows are protected than `count` says, and they stay. A recorded step does
 * what a fresh one does. A conversation that continues in a copy of the cache gives the same rows. Runs side by side do
 * not affect each other. Every backend keeps the rows that the float64 reference keeps.
 */
export function testPolicy(
  policy: Policy,
  { backends = [], evicts = true, tokens = 96, seed = 1 }: TestPolicyOptions = {},
): void {
  describe(`policy ${policy.name} (seed ${seed})`, () => {
    describe.each(shapes)("$queryHeads query heads, $kvHeads KV heads", ({ queryHeads, kvHeads }) => {
      const data = rawData(seed, queryHeads, kvHeads, tokens);
      const run = (backend: Backend, more: object = {}): Promise<RunPolicyResult> =>
        runPolicy({ policy, backend, queryHeads, kvHeads, headSize, ropeTheta, tile: 40, ...data, ...more });
      let first: Promise<RunPolicyResult> | undefined;
      const alone = () => (first ??= run(reference()));

      test("keeps what its budget, schedule, score and protection say, and attends to it", async () => {
        const result = await alone();
        await checkRun({ policy, queryHeads, kvHeads, headSize, ropeTheta, ...data, result });
        const held = [result.prefill, ...result.steps].at(-1)!.kept.flat();
        const evicted = held.reduce((sum, rows) => sum + tokens + steps - rows.length, 0);
        expect(evicted > 0, `${evicted} rows were evicted over ${tokens} tokens and ${steps} steps`).toBe(evicts);
      });

      test("a recorded step does what a fresh one does", async () => {
        const replayed = await run(reference(), { replay: true });
        expect(replayed).toEqual(await alone());
      });

      test("a conversation in copies of the cache is the same", async () => {
        expect(await run(reference(), { fork: true })).toEqual(await alone());
      });

      test("two runs on one backend do not affect each other, and leave nothing behind", async () => {
        const backend = reference();
        const both = await Promise.all([run(backend), run(backend)]);
        expect(both[0]).toEqual(await alone());
        expect(both[1]).toEqual(await alone());
        expect(backend.memory().live).toBe(0);
      });

      for (const { name, create } of backends) {
        test(`keeps the same rows on ${name}`, async () => {
          const backend = await create();
          try {
            const result = await run(backend);
            expect(outcomes(result).map(({ kept }) => kept)).toEqual(outcomes(await alone()).map(({ kept }) => kept));
            await checkRun({ policy, queryHeads, kvHeads, headSize, ropeTheta, ...data, result });
          } finally {
            await backend.dispose();
          }
        });
      }
    });
  });
}

const outcomes = ({ prefill, steps: after, turns }: RunPolicyResult): PolicyOutcome[] => [
  prefill,
  ...after,
  ...turns.flatMap((turn) => [...(turn.prefill ? [turn.prefill] : []), ...turn.steps]),
];

/** Peaky rows: a few keys get most attention, so that policies have something to find and broken gathers show. */
function rawData(
  seed: number,
  queryHeads: number,
  kvHeads: number,
  tokens: number,
): { layers: RawLayer[]; steps: RawLayer[][]; turns: PolicyTurn[]; output: Float32Array[] } {
  const { next: random } = randomFrom(seed);
  const numbers = (length: number, scale: number) => Float32Array.from({ length }, () => (2 * random() - 1) * scale);
  const raw = (count: number): RawLayer => {
    const k = numbers(kvHeads * count * headSize, 1);
    for (let row = 0; row < kvHeads * count; row++) {
      if (random() < 0.15) for (let i = 0; i < headSize; i++) k[row * headSize + i]! *= 4;
    }
    return { q: numbers(queryHeads * count * headSize, 3), k, v: numbers(kvHeads * count * headSize, 1) };
  };
  const message = (count: number) => Array.from({ length: layers }, () => raw(count));
  const stepsOf = (count: number) => Array.from({ length: count }, () => message(1));
  return {
    layers: message(tokens),
    steps: stepsOf(steps),
    turns: later.map((turn) => ({
      ...(turn.message ? { layers: message(turn.message) } : {}),
      steps: stepsOf(turn.steps ?? 0),
    })),
    output: Array.from({ length: layers }, () => numbers(queryHeads * headSize * hidden, 1)),
  };
}
