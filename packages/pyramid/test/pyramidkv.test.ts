import { draw, mulberry32, selection } from "@ziggurat/bench-kit/fixtures";
import { layerBudgets, PolicyError, uniform } from "@ziggurat/policy";
import { type PyramidKVOptions, pyramidkv } from "@ziggurat/pyramid";
import { snapkv } from "@ziggurat/snapkv";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { expect, test } from "vitest";

const heads = { queryHeads: 4, kvHeads: 2, headSize: 8 };
const raw = (next: () => number, tokens: number) => ({
  q: draw(next, 32 * tokens, 3),
  k: draw(next, 16 * tokens, 3),
  v: draw(next, 16 * tokens, 1),
});

test("selection.json: the authors' integers over four layers", async () => {
  const { inputs, queryHead, raw: read } = selection();
  const entry = read<{ num_layers: number; budget: { kept: number[] }; layers: number[][][] }>(
    "pyramidkv_query_head_maxpool",
  );
  const { capacity: keep, window, kernel, L } = inputs;
  const { layer, ...shape } = queryHead;
  const policy = pyramidkv({ keep, window, kernel, pooling: "max", rounding: "released" });
  const layers = Array.from({ length: entry.num_layers }, () => layer);
  const { prefill } = await runPolicy({ policy, backend: reference(), ...shape, layers });
  const newest = Array.from({ length: window }, (_, i) => L - window + i);
  expect(prefill.kept).toEqual(entry.layers.map((chosen) => chosen.map((head) => [...head, ...newest])));
  expect(prefill.kept.map((chosen) => chosen[0]!.length)).toEqual(entry.budget.kept);
});

test("keeps exactly layers x keep rows per head, most in the lowest layer, chosen as SnapKV does", async () => {
  const next = mulberry32(3);
  const layers = Array.from({ length: 5 }, () => raw(next, 60));
  const options = { keep: 20, window: 6, kernel: 3 };
  const { prefill } = await runPolicy({ policy: pyramidkv(options), backend: reference(), ...heads, layers });
  const counts = prefill.kept.map((kept) => kept.map((head) => head.length));
  expect(counts[0]![0]).toBe(34);
  for (const head of [0, 1]) expect(counts.reduce((sum, layer) => sum + layer[head]!, 0)).toBe(100);
  for (const [layer, [count]] of counts.entries()) {
    const alone = await runPolicy({
      policy: { ...snapkv(options), budget: uniform(count!) },
      backend: reference(),
      ...heads,
      layers: [layers[layer]!],
    });
    expect(prefill.kept[layer]).toEqual(alone.prefill.kept[0]);
  }
});

test("is SnapKV but for name and budget", () => {
  const given = { keep: 64, window: 8, kernel: 5, pooling: "average", reduce: "max" } as const;
  const [base, policy] = [snapkv(given), pyramidkv({ ...given, beta: 10 })];
  expect(policy.score.watch).toBe(base.score.watch);
  expect(policy.protect.count(100)).toBe(base.protect.count(100));
  expect(policy.name).toBe("pyramidkv");
  const layers = Array.from({ length: 3 }, (_, layer) => ({ layer, kvHeads: 1, headSize: 8 }));
  expect(layerBudgets(policy, { layers, seen: 900, protectedRows: 8 })).toEqual([[115], [64], [13]]);
});

test.each<readonly [unknown, string]>([
  [{ keep: 0 }, "pyramidkv: keep is 0; it must be a whole number of at least 1"],
  [{ keep: 32 }, "pyramidkv: keep is 32; it must be more than window, 32"],
  [
    { keep: 64, kernel: 4 },
    "pyramidkv: kernel is 4; it must be odd, so that a row lies in the middle of its neighbours",
  ],
  [{ keep: 64, beta: 0 }, "pyramidkv: beta is 0; it must be a finite number of at least 1"],
  [{ keep: 64, rounding: "paper" }, 'pyramidkv: rounding is "paper"; it must be "exact" or "released"'],
  [
    { keep: 64, kernel_size: 5 },
    'pyramidkv: no option is called "kernel_size"; there are keep, window, kernel, pooling, reduce, beta, rounding',
  ],
  ["64", 'pyramidkv: options is "64"; it must be an object with keep, window, kernel, pooling, reduce, beta, rounding'],
])("%# refuses %o in its own name", (options, message) => {
  expect(() => pyramidkv(options as PyramidKVOptions)).toThrow(new PolicyError(message));
});
