import type { Table } from "../table.js";
import { columns, showRow } from "./describe.js";

/** Whether every score of a table is a share, which is shown in hundredths. */
export const isPercent = ({ rows }: Table): boolean =>
  rows.every(({ score }) => score.estimate >= 0 && score.estimate <= 1);

/** Whether the rows of a table differ in the dtype of their caches. */
export const hasDTypes = ({ rows }: Table): boolean => new Set(rows.map(({ rowDType }) => rowDType)).size > 1;

/** What a table is about, in words. */
export function titleOf({ model, task, tokens, question }: Table): string {
  const options = Object.entries(task.options).map(([name, value]) => `${name} ${String(value)}`);
  const asked = question === "later" ? "the question asked later" : "the question inside the prompt";
  return `${[task.name, ...options].join(", ")}: ${model}, ${tokens} tokens, ${asked}`;
}

/** What must be said beside a table's numbers. */
export function notesOf(table: Table): string {
  const { discriminative, rows } = table;
  const items = rows[0]!.items;
  const discrimination =
    discriminative === undefined
      ? "No full cache was run, so it is unknown how many items it would answer."
      : `The full cache answers ${discriminative} of ${items} items; only those can tell policies apart.`;
  return `${discrimination} Intervals cover 95 % and are paired by item; p-values are corrected by Holm's procedure.`;
}

const escaped = (text: string) => text.replaceAll("|", "\\|");

/** Tables as Markdown, for documents. */
export function markdown(tables: readonly Table[]): string {
  return tables
    .map((table) => {
      const percent = isPercent(table);
      const dtypes = hasDTypes(table);
      const lines = table.rows.map((row) => `| ${showRow(row, { percent, dtypes }).map(escaped).join(" | ")} |`);
      const head = [`| ${columns.join(" | ")} |`, `|${columns.map(() => "---").join("|")}|`];
      return [`### ${titleOf(table)}`, "", ...head, ...lines, "", notesOf(table), ""].join("\n");
    })
    .join("\n");
}
