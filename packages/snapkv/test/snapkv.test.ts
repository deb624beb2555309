import { columnSums, draw, mulberry32, rowsOf, selection } from "@ziggurat/bench-kit/fixtures";
import { groupReductions, PolicyError, type Scorer } from "@ziggurat/policy";
import {
  observationWindow,
  observationWindowOptions,
  type SnapKVOptions,
  snapkv,
  snapkvOptions,
} from "@ziggurat/snapkv";
import { reference } from "@ziggurat/tensor";
import { evaluateScorer, runPolicy } from "@ziggurat/testing";
import { describe, expect, test } from "vitest";

const { inputs, entry, queryHead, kvHead } = selection();
const { capacity: keep, window, kernel, L } = inputs;

const entries = (["max", "average"] as const).flatMap((pooling) => {
  const suffix = pooling === "max" ? "maxpool" : "avgpool";
  return [
    { name: `snapkv_query_head_${suffix}`, heads: queryHead, options: { keep, window, kernel, pooling } },
    ...groupReductions.map((reduce) => ({
      name: `snapkv_kv_head_${reduce}_${suffix}`,
      heads: kvHead,
      options: { keep, window, kernel, pooling, reduce },
    })),
  ];
});

describe("selection.json", () => {
  test.each(entries)("$name", async ({ name, heads, options }) => {
    const { layer, ...shape } = heads;
    const { prefill } = await runPolicy({ policy: snapkv(options), backend: reference(), ...shape, layers: [layer] });
    expect(prefill.kept).toEqual([entry(name).heads.map((head) => rowsOf(head, L, window))]);
    expect(prefill.kept[0]!.every((head) => head.length === keep && keep < L)).toBe(true);
  });

  test.each(entries)("$name: scores", async ({ name, heads, options: { keep: _, ...options } }) => {
    const mass = columnSums(heads, window);
    const positions = Array.from({ length: heads.kvHeads }, () => Array.from({ length: L }, (_, token) => token));
    const [scores] = await evaluateScorer((view) => [observationWindow(options).score(view)], {
      positions,
      mass,
      queryHeads: heads.queryHeads,
    });
    entry(name).scores_first6.forEach((first, head) => {
      first.forEach((score, row) => expect(scores![head]![row], `head ${head}, row ${row}`).toBeCloseTo(score, 6));
    });
  });
});

describe("pooling", () => {
  const positions = [[0, 1, 2, 3, 4, 5, 6, 7]];
  const score = async (mass: number[], options: Parameters<typeof observationWindow>[0]) =>
    (await evaluateScorer((view) => [observationWindow(options).score(view)], { positions, mass: [mass] }))[0]![0]!;

  test("sees nothing of the window: zeros in an average, nothing in a maximum", async () => {
    const mass = [3, 0, 0, 0, 6, 9, 90, 900];
    expect((await score(mass, { window: 2, kernel: 3, pooling: "average" })).slice(0, 6)).toEqual([1, 1, 0, 2, 5, 5]);
    expect((await score(mass, { window: 2, kernel: 3, pooling: "max" })).slice(0, 6)).toEqual([3, 3, 0, 6, 9, 9]);
  });

  test("past the ends an average counts zeros", async () => {
    expect((await score([6, 0, 0, 0, 0, 0, 0, 0], { window: 1, kernel: 3, pooling: "average" })).slice(0, 3)).toEqual([
      2, 2, 0,
    ]);
  });

  test("a kernel of 1 leaves the votes as they are, one longer than the text sees all of it", async () => {
    const mass = [1, 2, 3, 4, 5, 6, 7, 80];
    expect((await score(mass, { window: 1, kernel: 1 })).slice(0, 7)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect((await score(mass, { window: 1, kernel: 99 })).slice(0, 7)).toEqual([7, 7, 7, 7, 7, 7, 7]);
  });

  test("reduces the group first, which matters to a maximum of means", async () => {
    const mass = [
      [4, 0, 0, 0, 0, 9],
      [0, 2, 0, 0, 0, 9],
    ];
    const build = (reduce: "mean" | "max" | "sum") =>
      evaluateScorer((view) => [observationWindow({ window: 1, kernel: 3, reduce }).score(view)], {
        positions: [[0, 1, 2, 3, 4, 5]],
        mass,
        queryHeads: 2,
      });
    expect((await build("mean"))[0]![0]!.slice(0, 5)).toEqual([2, 2, 1, 0, 0]);
    expect((await build("sum"))[0]![0]!.slice(0, 5)).toEqual([4, 4, 2, 0, 0]);
    expect((await build("max"))[0]![0]!.slice(0, 5)).toEqual([4, 4, 2, 0, 0]);
  });
});

describe("through the cache", () => {
  const heads = { queryHeads: 4, kvHeads: 2, headSize: 8 };
  const run = (policy: ReturnType<typeof snapkv>, prompt: number, steps: number) => {
    const next = mulberry32(31);
    const raw = (tokens: number) => ({
      q: draw(next, 32 * tokens, 3),
      k: draw(next, 16 * tokens, 3),
      v: draw(next, 16 * tokens, 1),
    });
    return runPolicy({
      policy,
      backend: reference(),
      ...heads,
      layers: [raw(prompt)],
      steps: Array.from({ length: steps }, () => [raw(1)]),
    });
  };
  const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);

  test("nothing is evicted while generating", async () => {
    const { prefill, steps } = await run(snapkv({ keep: 12, window: 4 }), 40, 6);
    expect(prefill.kept[0]!.map((head) => head.length)).toEqual([12, 12]);
    steps.forEach(({ kept }, step) => {
      expect(kept[0]).toEqual(prefill.kept[0]!.map((head) => [...head, ...range(40, 41 + step)]));
    });
  });

  test.each([1, 11, 12])(
    "a prompt of %i tokens is shorter than the budget or equal to it: all rows stay",
    async (prompt) => {
      expect((await run(snapkv({ keep: 12, window: 4 }), prompt, 0)).prefill.kept[0]).toEqual([
        range(0, prompt),
        range(0, prompt),
      ]);
    },
  );

  test("one token over the budget evicts one row", async () => {
    const { kept } = (await run(snapkv({ keep: 12, window: 4 }), 13, 0)).prefill;
    for (const head of kept[0]!) {
      expect(head).toHaveLength(12);
      expect(head.slice(-4)).toEqual([9, 10, 11, 12]);
    }
  });
});

test.each<readonly [unknown, string]>([
  [{ keep: 0 }, "snapkv: keep is 0; it must be a whole number of at least 1"],
  [{ keep: 12.5 }, "snapkv: keep is 12.5; it must be a whole number of at least 1"],
  [{ keep: 32 }, "snapkv: keep is 32; it must be more than window, 32"],
  [{ keep: 64, window: 0 }, "snapkv: window is 0; it must be a whole number of at least 1"],
  [{ keep: 64, window: Number.NaN }, "snapkv: window is NaN; it must be a whole number of at least 1"],
  [{ keep: 64, kernel: 4 }, "snapkv: kernel is 4; it must be odd, so that a row lies in the middle of its neighbours"],
  [{ keep: 64, kernel: 0 }, "snapkv: kernel is 0; it must be a whole number of at least 1"],
  [{ keep: 64, pooling: "avg" }, 'snapkv: pooling is "avg"; it must be "average" or "max"'],
  [{ keep: 64, reduce: "median" }, 'snapkv: reduce is "median"; it must be "mean" or "max" or "sum"'],
  [
    { keep: 64, window_size: 8 },
    'snapkv: no option is called "window_size"; there are keep, window, kernel, pooling, reduce',
  ],
  [undefined, "snapkv: options is undefined; it must be an object with keep, window, kernel, pooling, reduce"],
])("%# refuses %o", (options, message) => {
  expect(() => snapkv(options as SnapKVOptions)).toThrow(new PolicyError(message));
});

describe("published defaults: the authors' LongBench settings, and the mean over a KV head's queries", () => {
  const published = { window: 32, kernel: 7, pooling: "max", reduce: "mean" } as const;

  test("are those of the declarations", () => {
    expect(snapkvOptions.read({ keep: 64 })).toEqual({ keep: 64, ...published });
    expect(observationWindowOptions.read({})).toEqual(published);
    expect(snapkv({ keep: 64 }).protect.count(1000)).toBe(32);
  });

  test("are those that score", async () => {
    const next = mulberry32(5);
    const positions = [Array.from({ length: 60 }, (_, i) => i)];
    const mass = [0, 1].map(() => [...draw(next, 60, 1)].map(Math.abs));
    const scores = async (scorer: Scorer<string>) =>
      (await evaluateScorer<string>((view) => [scorer.score(view)], { positions, mass, queryHeads: 2 }))[0]!;
    const expected = await scores(observationWindow(published));
    expect(await scores(observationWindow())).toEqual(expected);
    expect(await scores(snapkv({ keep: 40 }).score)).toEqual(expected);
    expect(observationWindow().watch).toBe(32);
    // The data tell the settings apart.
    for (const other of [
      { window: 8 },
      { kernel: 5 },
      { pooling: "average" },
      { reduce: "max" },
      { reduce: "sum" },
    ] as const)
      expect(await scores(observationWindow(other)), JSON.stringify(other)).not.toEqual(expected);
  });
});

test("observationWindow refuses in its own name", () => {
  expect(() => observationWindow({ kernel: 2 })).toThrow("observationWindow: kernel is 2; it must be odd");
});
