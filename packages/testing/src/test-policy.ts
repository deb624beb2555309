import { layerBudgets, type Policy } from "@ziggurat/policy";
import { type Backend, reference } from "@ziggurat/tensor";
import { describe, expect, test } from "vitest";
import { randomFrom } from "./random.js";
import { type Outcome, type RawLayer, type RunPolicyResult, runPolicy } from "./run-policy.js";

export interface TestPolicyOptions {
  /** Backends to hold against the float64 reference. */
  readonly backends?: readonly { readonly name: string; create(): Promise<Backend> }[];
  /** Whether the policy is meant to evict. Default true: a run in which nothing was evicted fails, for it would prove nothing. */
  readonly evicts?: boolean;
  /** Tokens of the prompt. Default 96; it must be longer than what the policy keeps. */
  readonly tokens?: number;
  /** Default 1. */
  readonly seed?: number;
}

const layers = 3;
const steps = 6;
const headSize = 8;

/** Heads of one run: grouped queries, and a KV head of its own for every query head. */
const shapes = [
  { queryHeads: 4, kvHeads: 2 },
  { queryHeads: 3, kvHeads: 3 },
] as const;

/**
 * What every policy owes its users, as vitest tests: budgets are kept and used, protected rows stay, kept positions are real and ascending, a recorded step does what
 * a fresh one does, two runs side by side never meet, and every backend keeps the rows that the float64 reference keeps.
 */
export function testPolicy(policy: Policy, { backends = [], evicts = true, tokens = 96, seed = 1 }: TestPolicyOptions = {}): void {
  describe(`policy ${policy.name} (seed ${seed})`, () => {
    describe.each(shapes)("$queryHeads query heads, $kvHeads KV heads", ({ queryHeads, kvHeads }) => {
      const data = rawData(seed, queryHeads, kvHeads, tokens);
      const run = (backend: Backend, more: object = {}): Promise<RunPolicyResult> =>
        runPolicy({ policy, backend, queryHeads, kvHeads, headSize, ropeTheta: 10_000, tile: 40, ...data, ...more });
      const alone = run(reference());

      test("keeps its budgets, ascending positions that were read, and evicts", async () => {
        const result = await alone;
        const shape = Array.from({ length: layers }, () => ({ kind: "global" as const, kvHeads, headSize }));
        let evicted = 0;
        outcomes(result).forEach(({ kept }, step) => {
          const seen = tokens + step;
          const budgets = layerBudgets(policy, { layers: shape, seen, protectedRows: policy.protect.count(seen) });
          kept.forEach((heads, layer) => {
            heads.forEach((rows, head) => {
              const where = `step ${step}, layer ${layer}, KV head ${head}`;
              expect(
                rows.every((row, index) => row >= 0 && row < seen && (index === 0 || row > rows[index - 1]!)),
                `${where}: [${rows}]`,
              ).toBe(true);
              if (step === 0 && rows.length < seen) expect(rows.length, where).toBe(Math.min(seen, budgets[layer]![head]!));
              evicted += seen - rows.length;
            });
          });
        });
        expect(evicted > 0, `${evicted} rows were evicted over ${tokens} tokens and ${steps} steps`).toBe(evicts);
      });

      test("a recorded step does what a fresh one does", async () => {
        const replayed = await run(reference(), { replay: true });
        expect(replayed).toEqual(await alone);
      });

      test("two runs on one backend never meet, and leave nothing behind", async () => {
        const backend = reference();
        const both = await Promise.all([run(backend), run(backend)]);
        expect(both[0]).toEqual(await alone);
        expect(both[1]).toEqual(await alone);
        expect(backend.memory().live).toBe(0);
      });

      for (const { name, create } of backends) {
        test(`keeps the same rows on ${name}`, async () => {
          const backend = await create();
          try {
            const result = await run(backend);
            expect(outcomes(result).map(({ kept }) => kept)).toEqual(outcomes(await alone).map(({ kept }) => kept));
          } finally {
            await backend.dispose();
          }
        });
      }
    });
  });
}

const outcomes = ({ prefill, steps: after }: RunPolicyResult): Outcome[] => [prefill, ...after];

/** Peaky rows: a few keys meet most queries, so that policies have something to find and broken gathers show. */
function rawData(seed: number, queryHeads: number, kvHeads: number, tokens: number): { layers: RawLayer[]; steps: RawLayer[][] } {
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
