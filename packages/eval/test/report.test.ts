import { expect, test } from "vitest";
import { type Cell, cellId } from "../src/cell.js";
import { type ItemRecord, itemKey } from "../src/records.js";
import { showBudget, showBytes } from "../src/report/describe.js";
import { html } from "../src/report/html.js";
import { markdown } from "../src/report/markdown.js";
import { seededRandom } from "../src/statistics/random.js";
import { tables } from "../src/table.js";

/** Records of three policies at two budgets and two lengths, whose needles are at five depths. */
function example() {
  const cells = new Map<string, Cell>();
  const items = new Map<string, ItemRecord>();
  const random = seededRandom(3);
  const policies = ["full", "snapkv", "<b>pyramidkv"];
  for (const tokens of [1024, 2048]) {
    for (const [rank, name] of policies.entries()) {
      for (const share of name === "full" ? [1] : [0.12, 0.25]) {
        const cell: Cell = {
          ...{ model: "pebble", policy: { name, options: {} }, rowDType: "bf16", tokens, question: "later", seed: 1 },
          ...{ task: { name: "needle", options: {} }, items: 50 },
          ...(name === "full" ? {} : { budget: { share } }),
        };
        const id = cellId(cell, {});
        cells.set(id, cell);
        for (let item = 0; item < cell.items; item++) {
          const rows = Math.round(tokens * share);
          const record: ItemRecord = {
            ...{ kind: "item", cell: id, item, answer: "x", expected: ["x"], promptTokens: tokens },
            score: random() < share + 0.5 - 0.1 * rank ? 1 : 0,
            rows: [0, 1, 2, 3].map((layer) => [rows + rank * (2 - layer), rows + rank * (2 - layer)]),
            ...{ bytes: rows * 2048, evicted: tokens - rows, facts: { depth: (item % 5) / 4 } },
          };
          items.set(itemKey(record), record);
        }
      }
    }
  }
  return { cells, items, tables: tables(cells, items, { baseline: "snapkv", resamples: 200 }) };
}

test("a report is one page with every number, plot and setting, and loads nothing", () => {
  const { cells, items, tables } = example();
  const page = html({ title: "Needles & more", tables, cells, items, settings: { plan: "ab</pre>" } });
  expect(page).toContain("<title>Needles &#38; more</title>");
  expect(page.match(/<svg /g)).toHaveLength(2 * 2 + 5);
  expect(page.match(/<tr>/g)).toHaveLength(2 * 6);
  expect(page).toContain("ab&#60;/pre&#62;");
  expect(page).not.toContain("<b>pyramidkv");
  expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)|url\(/);
  for (const table of tables) {
    for (const { score, bytes } of table.rows) {
      expect(page).toContain((100 * score.estimate).toFixed(1));
      expect(page).toContain(showBytes(bytes));
    }
  }
});

test("Markdown holds the same rows", () => {
  const text = markdown(example().tables);
  expect(text.match(/^### needle: pebble, (1024|2048) tokens, the question asked later$/gm)).toHaveLength(2);
  expect(text.match(/^\| (full|snapkv|<b>pyramidkv) \|/gm)).toHaveLength(10);
  expect(text).toMatch(/The full cache answers \d+ of 50 items/);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.00 kB"],
  [1_310_720, "1.31 MB"],
  [99_960_000, "100 MB"],
  [999_600, "1.00 MB"],
])("%d bytes are shown as %s", (bytes, text) => expect(showBytes(bytes)).toBe(text));

test("budgets are shown in their own unit", () => {
  expect([undefined, { rows: 64 }, { share: 0.125 }, { bytes: 2e6 }].map(showBudget)).toEqual([
    "all rows",
    "64 rows",
    "12.5 %",
    "2.00 MB",
  ]);
});
