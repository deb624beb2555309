import { columnSums, draw, h2oStream, mulberry32, rowsOf, selection, softmax } from "@ziggurat/bench-kit/fixtures";
import { type H2OOptions, h2o, heavyHitters } from "@ziggurat/h2o";
import { type GroupReduction, groupReductions, type LayerView, PolicyError, ranking } from "@ziggurat/policy";
import { reference } from "@ziggurat/tensor";
import { evaluateScorer, runPolicy } from "@ziggurat/testing";
import { describe, expect, test } from "vitest";

describe("selection.json: one message, causal", () => {
  const { inputs, entry, queryHead, kvHead } = selection();
  const { capacity: keep, window: recent, L } = inputs;

  test.each([
    ["h2o_prefill_causal", queryHead],
    ["h2o_prefill_causal_kv_head_mean", kvHead],
  ] as const)("%s", async (name, { layer, ...heads }) => {
    const { prefill } = await runPolicy({
      policy: h2o({ keep, recent }),
      backend: reference(),
      ...heads,
      layers: [layer],
    });
    expect(prefill.kept).toEqual([entry(name).heads.map((head) => rowsOf(head, L, recent))]);
  });

  test("scores are column sums over all queries", async () => {
    const mass = columnSums(queryHead, Number.POSITIVE_INFINITY);
    const positions = mass.map((head) => head.map((_, token) => token));
    const columns = { total: mass.map((head) => head.map(() => 0)) };
    const observe = (view: LayerView<"total">) => [heavyHitters().observe!(view).total];
    const [totals] = await evaluateScorer(observe, { positions, mass, columns });
    entry("h2o_prefill_causal").scores_first6.forEach((scores, head) => {
      scores.forEach((score, row) => expect(totals![head]![row], `head ${head}, row ${row}`).toBeCloseTo(score, 5));
    });
  });
});

describe("h2o_stream.json: evicting after every token", () => {
  const { inputs, trace, q, k, tokens } = h2oStream();
  const { heads, D, prompt, steps, hh_size, recent_size } = inputs;
  const policy = h2o({ keep: hh_size + recent_size, recent: recent_size });
  const rowOf = (numbers: Float32Array, head: number, token: number) =>
    numbers.subarray((token * heads + head) * D, (token * heads + head + 1) * D);
  /** Tokens-first to [heads, tokens, D]. */
  const cut = (numbers: Float32Array, from: number, to: number) =>
    Float32Array.from(
      Array.from({ length: heads }, (_, head) =>
        Array.from({ length: to - from }, (_, i) => [...rowOf(numbers, head, from + i)]),
      ).flat(2),
    );

  test("kept rows, through the cache", async () => {
    const v = draw(mulberry32(1), tokens * heads * D, 1);
    const layer = (from: number, to: number) => [{ q: cut(q, from, to), k: cut(k, from, to), v: cut(v, from, to) }];
    const result = await runPolicy({
      policy,
      backend: reference(),
      queryHeads: heads,
      kvHeads: heads,
      headSize: D,
      layers: layer(0, prompt),
      steps: Array.from({ length: steps }, (_, step) => layer(prompt + step, prompt + step + 1)),
    });
    expect([result.prefill, ...result.steps].map(({ kept }) => kept[0])).toEqual(trace.map(({ kept }) => kept));
  });

  test("running scores", async () => {
    let positions: number[][] = Array.from({ length: heads }, () => []);
    let totals: number[][] = positions.map(() => []);
    for (const [at, { kept, scores, step }] of trace.entries()) {
      const fed = at === 0 ? Array.from({ length: prompt }, (_, i) => i) : [prompt + at - 1];
      positions = positions.map((head) => [...head, ...fed]);
      const mass = positions.map((head, h) => {
        const sums = head.map(() => 0);
        for (const token of fed) {
          const seen = head.filter((position) => position <= token);
          softmax(
            rowOf(q, h, token),
            seen.map((position) => rowOf(k, h, position)),
          ).forEach((weight, j) => (sums[j]! += weight));
        }
        return sums;
      });
      const before = totals.map((head) => [...head, ...fed.map(() => 0)]);
      const [observed, ranked] = await evaluateScorer<"total">(
        (view) => {
          const columns = policy.score.observe!(view);
          const now = { ...view, columns };
          return [columns.total!, ranking(policy.score.score(now), policy.protect.mask(now))];
        },
        { positions, mass, columns: { total: before } },
      );
      const survivors = positions.map((head, h) => {
        const best = head.map((_, row) => row).sort((a, b) => ranked![h]![b]! - ranked![h]![a]! || a - b);
        return best.slice(0, hh_size + recent_size).sort((a, b) => a - b);
      });
      totals = survivors.map((rows, h) => rows.map((row) => observed![h]![row]!));
      positions = survivors.map((rows, h) => rows.map((row) => positions[h]![row]!));
      expect(positions, `step ${step}`).toEqual(kept);
      totals.forEach((head, h) =>
        head.forEach((total, row) =>
          expect(total, `step ${step}, head ${h}, row ${row}`).toBeCloseTo(scores[h]![row]!, 5),
        ),
      );
    }
  });
});

describe("shared KV heads, evicting while decoding", () => {
  const heads = { queryHeads: 4, kvHeads: 2, headSize: 8 };
  const reducers: Record<GroupReduction, (x: readonly number[]) => number> = {
    mean: (x) => x.reduce((a, b) => a + b, 0) / x.length,
    max: (x) => Math.max(...x),
    sum: (x) => x.reduce((a, b) => a + b, 0),
  };

  /** H2O with plain arrays: what is kept after the prompt and after each step, [outcome][KV head]. */
  function plain(
    text: { q: number[][][]; k: number[][][] },
    prompt: number,
    tokens: number,
    { keep, recent }: Required<Pick<H2OOptions, "keep" | "recent">>,
    reduce: GroupReduction,
  ) {
    return Array.from({ length: heads.kvHeads }, (_, kvHead) => {
      let rows: { position: number; total: number }[] = [];
      const outcomes: number[][] = [];
      for (let read = 0; read < tokens; ) {
        const upTo = read === 0 ? prompt : read + 1;
        const fed = Array.from({ length: upTo - read }, (_, i) => read + i);
        rows = [...rows, ...fed.map((position) => ({ position, total: 0 }))];
        const sums = [0, 1].map((member) => {
          const mass = rows.map(() => 0);
          for (const token of fed) {
            const keys = rows
              .filter(({ position }) => position <= token)
              .map(({ position }) => text.k[kvHead]![position]!);
            softmax(text.q[2 * kvHead + member]![token]!, keys).forEach((weight, j) => (mass[j]! += weight));
          }
          return mass;
        });
        rows = rows.map(({ position, total }, j) => ({
          position,
          total: total + reducers[reduce](sums.map((mass) => mass[j]!)),
        }));
        const worth = ({ position, total }: { position: number; total: number }) =>
          position >= upTo - recent ? Number.POSITIVE_INFINITY : total;
        if (rows.length > keep) {
          const best = [...rows].sort(
            (a, b) => (worth(b) === worth(a) ? 0 : worth(b) - worth(a)) || a.position - b.position,
          );
          rows = best.slice(0, keep).sort((a, b) => a.position - b.position);
        }
        outcomes.push(rows.map(({ position }) => position));
        read = upTo;
      }
      return outcomes;
    });
  }

  test.each(groupReductions)("reduce %s equals a plain implementation", async (reduce) => {
    const [seed, prompt, tokens] = [29, 14, 50];
    const next = mulberry32(seed);
    // Later keys are louder: with plain random ones the first rows stay forever, and the test shows nothing.
    const rows = (count: number, scale: number, rise = 0) =>
      Array.from({ length: count }, () =>
        Array.from({ length: tokens }, (_, token) => [...draw(next, 8, scale + rise * token)]),
      );
    const text = { q: rows(4, 4), k: rows(2, 1, 0.3), v: rows(2, 1) };
    const cut = (from: number, to: number) =>
      [
        Object.fromEntries(
          Object.entries(text).map(([name, x]) => [
            name,
            Float32Array.from(x.map((head) => head.slice(from, to)).flat(2)),
          ]),
        ),
      ] as never;
    const options = { keep: 12, recent: 4 };
    const result = await runPolicy({
      policy: h2o({ ...options, reduce }),
      backend: reference(),
      ...heads,
      layers: cut(0, prompt),
      steps: Array.from({ length: tokens - prompt }, (_, i) => cut(prompt + i, prompt + i + 1)),
    });
    const expected = plain(text, prompt, tokens, options, reduce);
    const got = [result.prefill, ...result.steps].map(({ kept }) => kept[0]!);
    expected.forEach((outcomes, kvHead) =>
      expect(
        got.map((kept) => kept[kvHead]),
        `seed ${seed}, KV head ${kvHead}`,
      ).toEqual(outcomes),
    );
    const hitters = got.map((kept) => kept.map((head) => head.slice(0, -options.recent).join()));
    for (const kvHead of [0, 1]) expect(new Set(hitters.map((heads) => heads[kvHead])).size).toBeGreaterThan(3);
  });
});

test("recent is half of keep unless given", async () => {
  const recent = (options: H2OOptions) => h2o(options).protect.count(1000);
  expect([
    recent({ keep: 13 }),
    recent({ keep: 1 }),
    recent({ keep: 12, recent: 0 }),
    recent({ keep: 12, recent: 12 }),
  ]).toEqual([6, 0, 0, 12]);
});

test.each<readonly [unknown, string]>([
  [{ keep: 0 }, "h2o: keep is 0; it must be a whole number of at least 1"],
  [{ keep: 7.5 }, "h2o: keep is 7.5; it must be a whole number of at least 1"],
  [{ keep: Number.NaN, recent: 4 }, "h2o: keep is NaN; it must be a whole number of at least 1"],
  [{ keep: 8n }, "h2o: keep is 8; it must be a whole number of at least 1"],
  [{ keep: 8, recent: 9 }, "h2o: keep is 8; it must be at least recent, 9"],
  [{ keep: 8, recent: -1 }, "h2o: recent is -1; it must be a whole number of at least 0"],
  [{ keep: 8, reduce: "min" }, 'h2o: reduce is "min"; it must be "mean" or "max" or "sum"'],
  [{ keep: 8, hh_size: 4 }, 'h2o: no option is called "hh_size"; there are keep, recent, reduce'],
  [null, "h2o: options is null; it must be an object with keep, recent, reduce"],
])("%# refuses %o", (options, message) => {
  expect(() => h2o(options as H2OOptions)).toThrow(new PolicyError(message));
});

test("heavyHitters refuses a reduction that there is not", () => {
  expect(() => heavyHitters("median" as GroupReduction)).toThrow(
    'heavyHitters: reduce is "median"; it must be "mean" or "max" or "sum"',
  );
});
