import type { Policy } from "@ziggurat/policy";
import { type Backend, reference } from "@ziggurat/tensor";
import { describe, expect, test } from "vitest";
import { checkRun } from "./plain-cache.js";
import { randomFrom } from "./random.js";
import { type PolicyOutcome, type RawLayer, type RunPolicyResult, runPolicy } from "./run-policy.js";

export interface TestPolicyOptions {
  /** Backends to hold against the float64 reference. */
  readonly backends?: readonly { readonly name: string; create(): Promise<Backend> }[];
  /**
   * Whether the policy is meant to evict. Default true: a run in which nothing was evicted fails, for it would prove
   * nothing.
   */
  readonly evicts?: boolean;
  /** Tokens of the prompt. Default 96; it must be longer than what the policy keeps. */
  readonly tokens?: number;
  /** Default 1. */
  readonly seed?: number;
}

const layers = 3;
const steps = 6;
const headSize = 8;
const ropeTheta = 10_000;

/** Heads of one run: grouped queries, and a KV head of its own for every query head. */
const shapes = [
  { queryHeads: 4, kvHeads: 2 },
  { queryHeads: 3, kvHeads: 3 },
] as const;

/**
 * What every policy owes its users, as vitest tests: after the prompt and after every step the cache holds the rows
 * that the policy's budget, schedule, score and protection call for, worked out by a cache as plain as can be, and
 * attends to just those; no more rows are protected than `count` says, and they stay; a recorded step does what a fresh
 * one does; two runs side by side never meet; and every backend keeps the rows that the float64 reference keeps.
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
        await checkRun({ policy, queryHeads, kvHeads, headSize, ropeTheta, tokens, ...data, result });
        const held = outcomes(result).at(-1)!.kept.flat();
        const evicted = held.reduce((sum, rows) => sum + tokens + steps - rows.length, 0);
        expect(evicted > 0, `${evicted} rows were evicted over ${tokens} tokens and ${steps} steps`).toBe(evicts);
      });

      test("a recorded step does what a fresh one does", async () => {
        const replayed = await run(reference(), { replay: true });
        expect(replayed).toEqual(await alone());
      });

      test("two runs on one backend never meet, and leave nothing behind", async () => {
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
            await checkRun({ policy, queryHeads, kvHeads, headSize, ropeTheta, tokens, ...data, result });
          } finally {
            await backend.dispose();
          }
        });
      }
    });
  });
}

const outcomes = ({ prefill, steps: after }: RunPolicyResult): PolicyOutcome[] => [prefill, ...after];

/** Peaky rows: a few keys meet most queries, so that policies have something to find and broken gathers show. */
function rawData(
  seed: number,
  queryHeads: number,
  kvHeads: number,
  tokens: number,
): { layers: RawLayer[]; steps: RawLayer[][] } {
  const { next: random } = randomFrom(seed);
  const numbers = (length: number, scale: number) => Float32Array.from({ length }, () => (2 * random() - 1) * scale);
  const raw = (count: number): RawLayer => {
    const k = numbers(kvHeads * count * headSize, 1);
    for (let row = 0; row < kvHeads * count; row++) {
      if (random() < 0.15) for (let i = 0; i < headSize; i++) k[row * headSize + i]! *= 4;
    }
    return { q: numbers(queryHeads * count * headSize, 3), k, v: numbers(kvHeads * count * headSize, 1) };
  };
  return {
    layers: Array.from({ length: layers }, () => raw(tokens)),
    steps: Array.from({ length: steps }, () => Array.from({ length: layers }, () => raw(1))),
  };
}
