import { expect, test } from "vitest";
import { type Cell, canonicalJson, cellId } from "../src/cell.js";
import { EvaluationError } from "../src/error.js";
import { type ItemRecord, itemKey } from "../src/records.js";
import { signFlipTest } from "../src/statistics/permutation.js";
import { tables } from "../src/table.js";

const cell = (policy: string, more: Partial<Cell> = {}): Cell => ({
  model: "pebble",
  policy: { name: policy, options: {} },
  ...(policy === "full" ? {} : { budget: { share: 0.12 } }),
  rowDType: "bf16",
  task: { name: "needle", options: {} },
  tokens: 2048,
  question: "later",
  seed: 1,
  items: 4,
  ...more,
});

function collect(runs: readonly (readonly [Cell, readonly number[]])[]) {
  const cells = new Map<string, Cell>();
  const items = new Map<string, ItemRecord>();
  for (const [run, scores] of runs) {
    const id = cellId(run, {});
    cells.set(id, run);
    scores.forEach((score, item) => {
      const full = run.policy.name === "full";
      const record: ItemRecord = {
        ...{ kind: "item", cell: id, item, score, answer: "", expected: [""], promptTokens: 2048 },
        rows: full ? [[2048, 2048]] : [[200, 300]],
        bytes: full ? 1000 : 100 + item,
        evicted: full || item === 3 ? 0 : 7,
      };
      items.set(itemKey(record), record);
    });
  }
  return { cells, items };
}

test("a table pairs items, corrects its comparisons, and counts what it must say", () => {
  const { cells, items } = collect([
    [cell("full"), [1, 1, 1, 0]],
    [cell("snapkv"), [1, 0, 0, 0]],
    [cell("pyramidkv"), [1, 1, 0, 0]],
  ]);
  const [table, ...others] = tables(cells, items, { baseline: "snapkv", resamples: 500 });
  expect(others).toEqual([]);
  expect(table).toMatchObject({ model: "pebble", tokens: 2048, question: "later", discriminative: 3 });
  const [full, snapkv, pyramidkv] = table!.rows;
  expect(full).toMatchObject({ items: 4, score: { estimate: 0.75 }, againstFull: undefined, rows: 2048, inactive: 4 });
  expect(full!.againstBaseline).toBeUndefined();
  expect(snapkv!.score.estimate).toBe(0.25);
  expect(snapkv!.binomial!.low).toBeGreaterThan(0);
  expect(snapkv).toMatchObject({ rows: 250, bytes: 101.5, inactive: 1, againstBaseline: undefined });
  const p = [signFlipTest([1, 0, 0, 0], [1, 1, 1, 0]), signFlipTest([1, 1, 0, 0], [1, 1, 1, 0])];
  expect(snapkv!.againstFull).toMatchObject({
    p: p[0],
    corrected: Math.min(1, 2 * p[0]!),
    difference: { estimate: -0.5 },
  });
  expect(pyramidkv!.againstFull!.p).toBe(p[1]);
  expect(pyramidkv!.againstBaseline!.difference.estimate).toBe(0.25);
});

test("seeds are one series, other tasks, lengths and places are other tables", () => {
  const { cells, items } = collect([
    [cell("snapkv"), [1, 1, 1, 1]],
    [cell("snapkv", { seed: 2 }), [0, 0, 0, 0]],
    [cell("snapkv", { tokens: 4096 }), [1, 1, 1, 1]],
    [cell("snapkv", { question: "inside" }), [1, 1, 1, 1]],
    [cell("snapkv", { task: { name: "table", options: {} } }), [0.5]],
  ]);
  const found = tables(cells, items);
  expect(found.map(({ rows }) => rows.map(({ items, score }) => [items, score.estimate]))).toEqual([
    [[8, 0.5]],
    [[4, 1]],
    [[4, 1]],
    [[1, 0.5]],
  ]);
  expect(found[3]!.rows[0]!.binomial).toBeUndefined();
  expect(found[0]!.discriminative).toBeUndefined();
});

test("rows without a common item are refused", () => {
  const { cells, items } = collect([
    [cell("full"), [1]],
    [cell("snapkv", { seed: 2 }), [1]],
  ]);
  expect(() => tables(cells, items)).toThrow(
    new EvaluationError("snapkv and full have no item in common; run both over the same seeds"),
  );
});

test("the id of a cell depends on every field and on its provenance, and not on the order of names", () => {
  const ids = [
    cellId(cell("snapkv"), {}),
    cellId(cell("snapkv"), { runtime: "0.1.0" }),
    cellId(cell("snapkv", { seed: 2 }), {}),
    cellId(cell("snapkv", { budget: { rows: 12 } }), {}),
  ];
  expect(new Set(ids).size).toBe(4);
  expect(ids[0]).toMatch(/^[0-9a-f]{16}$/);
  expect(canonicalJson({ b: 1, a: [{ d: undefined, c: null }] })).toBe('{"a":[{"c":null}],"b":1}');
});
