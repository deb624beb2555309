import { type Cell, canonicalJson } from "../cell.js";
import { type ItemRecord, itemKey } from "../records.js";
import type { Table } from "../table.js";
import { columns, showBudget, showPolicy, showRow } from "./describe.js";
import { hasDTypes, isPercent, notesOf, titleOf } from "./markdown.js";
import { type HeatCell, heatMap, layerPlot, scorePlot } from "./plots.js";

/** A text as HTML shows it. */
const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
.maps { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 1rem 0; }
pre { overflow-x: auto; padding: 1rem; background: #8881; }
`;

export interface ReportOptions {
  readonly title: string;
  readonly tables: readonly Table[];
  /** By id. */
  readonly cells: ReadonlyMap<string, Cell>;
  readonly items: ReadonlyMap<string, ItemRecord>;
  /** Whatever else was set: the plan, versions, hashes. Printed as it is. */
  readonly settings: unknown;
}

/** A table, and the records of each of its rows. */
interface Group {
  readonly table: Table;
  readonly records: readonly (readonly ItemRecord[])[];
}

/** One HTML page with every table, plot and setting. It needs no server, no network and no script. */
export function html({ title, tables, cells, items, settings }: ReportOptions): string {
  const groups = new Map<string, Group[]>();
  for (const table of tables) {
    const { model, task, question } = table;
    const key = canonicalJson({ model, task, question });
    groups.set(key, [...(groups.get(key) ?? []), { table, records: recordsOf(table, cells, items) }]);
  }
  const sections = [...groups.values()].flatMap((group) => [
    ...group.map(({ table, records }) => sectionOf(table, records)),
    heatMapsOf(group),
  ]);
  return [
    "<!doctype html>",
    '<html lang="en">',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escaped(title)}</title>`,
    `<style>${style}</style>`,
    `<h1>${escaped(title)}</h1>`,
    ...sections,
    "<h2>Settings</h2>",
    `<pre>${escaped(JSON.stringify(settings, null, 2))}</pre>`,
    "</html>",
    "",
  ].join("\n");
}

/** The records of each row of a table. */
function recordsOf(
  { model, task, tokens, question, rows }: Table,
  cells: ReadonlyMap<string, Cell>,
  items: ReadonlyMap<string, ItemRecord>,
): readonly (readonly ItemRecord[])[] {
  const key = ({
    policy,
    budget,
    rowDType,
  }: Pick<Cell, "policy" | "rowDType"> & { budget?: Cell["budget"] | undefined }) =>
    canonicalJson({ policy, budget, rowDType });
  const own = [...cells].filter(
    ([, cell]) =>
      cell.model === model &&
      cell.tokens === tokens &&
      cell.question === question &&
      canonicalJson(cell.task) === canonicalJson(task),
  );
  return rows.map((row) =>
    own
      .filter(([, cell]) => key(cell) === key(row))
      .flatMap(([id, cell]) =>
        Array.from({ length: cell.items }, (_, item) => items.get(itemKey({ cell: id, item }))).filter(
          (record) => record !== undefined,
        ),
      ),
  );
}

function sectionOf(table: Table, records: readonly (readonly ItemRecord[])[]): string {
  const show = { percent: isPercent(table), dtypes: hasDTypes(table) };
  const cellsOf = (row: readonly string[], tag: "td" | "th") => row.map((text) => `<${tag}>${escaped(text)}</${tag}>`);
  return [
    `<h2>${escaped(titleOf(table))}</h2>`,
    `<figure>${scorePlot(table)}</figure>`,
    '<div class="scroll"><table>',
    `<tr>${cellsOf(columns, "th").join("")}</tr>`,
    ...table.rows.map((row) => `<tr>${cellsOf(showRow(row, show), "td").join("")}</tr>`),
    "</table></div>",
    `<p>${escaped(notesOf(table))}</p>`,
    "<h3>Rows per layer</h3>",
    `<figure>${layerPlot(table, records.map(rowsPerLayer))}</figure>`,
  ].join("\n");
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Mean rows of a KV head, by layer, over all records. */
function rowsPerLayer(records: readonly ItemRecord[]): number[] {
  return records[0]!.rows.map((_, layer) => mean(records.map(({ rows }) => mean(rows[layer]!))));
}

/** A heat map for each row of tables that differ in length alone, if its items say how deep their needle is. */
function heatMapsOf(group: readonly Group[]): string {
  const dtypes = group.some(({ table }) => hasDTypes(table));
  const byRow = new Map<string, HeatCell[]>();
  for (const { table, records } of group) {
    table.rows.forEach((row, index) => {
      const parts = [showPolicy(row, dtypes), showBudget(row.budget)];
      const name = parts.join(", ");
      byRow.set(name, [...(byRow.get(name) ?? []), ...heatCells(table.tokens, records[index]!)]);
    });
  }
  const maps = [...byRow].flatMap(([name, cells]) =>
    cells.length === 0 ? [] : [`<figure><figcaption>${escaped(name)}</figcaption>${heatMap(cells)}</figure>`],
  );
  if (maps.length === 0) return "";
  const { model, task, question } = group[0]!.table;
  const title = `Score by depth: ${task.name}, ${model}, ${question === "later" ? "asked later" : "question inside"}`;
  return `<h2>${escaped(title)}</h2>\n<div class="maps">${maps.join("\n")}</div>`;
}

function heatCells(tokens: number, records: readonly ItemRecord[]): HeatCell[] {
  const byDepth = new Map<number, number[]>();
  for (const { facts, score } of records) {
    if (facts?.depth === undefined) continue;
    byDepth.set(facts.depth, [...(byDepth.get(facts.depth) ?? []), score]);
  }
  return [...byDepth]
    .sort(([a], [b]) => a - b)
    .map(([depth, scores]) => ({ tokens, depth, score: mean(scores), items: scores.length }));
}
