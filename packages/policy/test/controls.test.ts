import { draw, mulberry32 } from "@ziggurat/bench-kit/fixtures";
import { full, type Policy, random, sinksAndRecent } from "@ziggurat/policy";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { expect, test } from "vitest";

const [prompt, steps, seed] = [30, 4, 12] as const;
const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);

function run(policy: Policy) {
  const next = mulberry32(seed);
  const raw = (tokens: number) => ({
    q: draw(next, 16 * tokens, 3),
    k: draw(next, 8 * tokens, 3),
    v: draw(next, 8 * tokens, 1),
  });
  const layers = [raw(prompt), raw(prompt)];
  const later = Array.from({ length: steps }, () => [raw(1), raw(1)]);
  return runPolicy({ policy, backend: reference(), queryHeads: 4, kvHeads: 2, headSize: 4, layers, steps: later });
}

test("full never evicts", async () => {
  const result = await run(full());
  [result.prefill, ...result.steps].forEach(({ kept }, at) => {
    const all = range(0, prompt + at);
    expect(kept).toEqual([
      [all, all],
      [all, all],
    ]);
  });
});

test("random keeps the newest and a draw of its own for each layer, head and seed", async () => {
  const kept = async (options: Parameters<typeof random>[0]) => (await run(random(options))).prefill.kept.flat();
  const drawn = [...(await kept({ keep: 12, recent: 3 })), ...(await kept({ keep: 12, recent: 3, seed: 1 }))];
  for (const head of drawn) {
    expect(head).toHaveLength(12);
    expect(head.slice(-3)).toEqual([27, 28, 29]);
  }
  expect(new Set(drawn.map((head) => head.join())).size).toBe(drawn.length);
  expect(await kept({ keep: 12, recent: 3 })).toEqual(drawn.slice(0, 4));
});

test("random draws every row about equally often", async () => {
  const counts = new Array<number>(prompt).fill(0);
  for (let seed = 0; seed < 60; seed++) {
    for (const head of (await run(random({ keep: 10, recent: 0, seed }))).prefill.kept.flat())
      for (const row of head) counts[row]! += 1;
  }
  // 240 draws of a third each: 80 on average, standard deviation 7.3.
  expect(Math.min(...counts)).toBeGreaterThan(80 - 5 * 7.3);
  expect(Math.max(...counts)).toBeLessThan(80 + 5 * 7.3);
});

test("sinksAndRecent keeps the first and the newest, and evicts nothing while generating", async () => {
  const { prefill, steps: later } = await run(sinksAndRecent({ keep: 9, sinks: 2 }));
  const expected = [...range(0, 2), ...range(23, 30)];
  expect(prefill.kept).toEqual([
    [expected, expected],
    [expected, expected],
  ]);
  expect(later.at(-1)!.kept[1]![1]).toEqual([...expected, ...range(30, 34)]);
});

test.each([random({ keep: 31 }), sinksAndRecent({ keep: 30 })])(
  "a prompt no longer than the budget of $name stays whole",
  async (policy) => {
    expect((await run(policy)).prefill.kept[0]).toEqual([range(0, prompt), range(0, prompt)]);
  },
);
