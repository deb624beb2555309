import type { CellBudget } from "../cell.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { Comparison, TableRow } from "../table.js";

// Words and numbers of tables, the same in HTML, in Markdown and in plots.

/** Bytes with a unit, three digits: "1.31 MB". */
export function showBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** A share as a percentage: "12 %"; two digits after the point at most. */
export const showShare = (share: number): string => `${Number((100 * share).toFixed(2))} %`;

export function showBudget(budget: CellBudget | undefined): string {
  if (budget === undefined) return "all rows";
  if ("rows" in budget) return `${budget.rows} rows`;
  return "share" in budget ? showShare(budget.share) : showBytes(budget.bytes);
}

/** A score from 0 to 1 in hundredths; scores that may be negative, as log-probabilities, as they are. */
const scaled = (value: number, percent: boolean) => (percent ? (100 * value).toFixed(1) : value.toFixed(3));

export const showInterval = ({ estimate, low, high }: Interval, percent: boolean): string =>
  `${scaled(estimate, percent)} [${scaled(low, percent)}, ${scaled(high, percent)}]`;

const showP = (p: number): string => (p < 0.001 ? "< 0.001" : p.toFixed(3));

export const showComparison = (comparison: Comparison | undefined, percent: boolean): string =>
  comparison ? `${showInterval(comparison.difference, percent)}, p ${showP(comparison.corrected)}` : "";

/** The policy with the options that differ from its defaults: "snapkv window=16". */
export function showPolicy({ policy, rowDType }: Pick<TableRow, "policy" | "rowDType">, dtypes: boolean): string {
  const options = Object.entries(policy.options).map(([name, value]) => `${name}=${String(value)}`);
  return [policy.name, ...options, ...(dtypes ? [rowDType] : [])].join(" ");
}

/** A row of a table as texts, in the order of {@link columns}. */
export function showRow(row: TableRow, { percent, dtypes }: { percent: boolean; dtypes: boolean }): readonly string[] {
  return [
    showPolicy(row, dtypes),
    showBudget(row.budget),
    row.rows.toFixed(1),
    showBytes(row.bytes),
    String(row.items),
    showInterval(row.score, percent),
    row.binomial ? showInterval(row.binomial, percent) : "",
    showComparison(row.againstFull, percent),
    showComparison(row.againstBaseline, percent),
    row.inactive === 0 ? "" : String(row.inactive),
  ];
}

export const columns: readonly string[] = [
  "policy",
  "budget",
  "rows a head",
  "bytes",
  "items",
  "score",
  "exact interval",
  "against full",
  "against baseline",
  "inactive",
];
