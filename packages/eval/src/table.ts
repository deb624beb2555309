import { type Cell, type CellBudget, canonicalJson } from "./cell.js";
import { EvaluationError } from "./error.js";
import { type ItemRecord, itemKey } from "./records.js";
import { binomialInterval } from "./statistics/binomial.js";
import { bootstrapDifference, bootstrapMean, type Interval } from "./statistics/bootstrap.js";
import { holm } from "./statistics/holm.js";
import { signFlipTest } from "./statistics/permutation.js";

/** A paired comparison with another row of the same table. */
export interface Comparison {
  /** Mean of own score less the other's, over the items of both, with a bootstrap interval. */
  readonly difference: Interval;
  /** Two-sided p-value of a sign-flip test. */
  readonly p: number;
  /** The same, corrected by Holm's procedure for all comparisons of this kind in the table. */
  readonly corrected: number;
}

/** One policy under one budget and row dtype. */
export interface TableRow {
  readonly policy: Cell["policy"];
  readonly budget: CellBudget | undefined;
  readonly rowDType: string;
  readonly items: number;
  /** Mean score with a bootstrap interval. */
  readonly score: Interval;
  /** The exact binomial interval if every score is 0 or 1. */
  readonly binomial: Interval | undefined;
  /** Undefined for the full cache, and if the table has none. */
  readonly againstFull: Comparison | undefined;
  /** Undefined for the baseline, and if the table has none. */
  readonly againstBaseline: Comparison | undefined;
  /** Mean bytes of the cache after the prompt, metadata included. */
  readonly bytes: number;
  /** Mean rows of one KV head of one layer after the prompt. */
  readonly rows: number;
  /** Items in which the policy evicted nothing. */
  readonly inactive: number;
}

/** Rows that answered the same items: one model, task, length and place of the question. */
export interface Table {
  readonly model: string;
  readonly task: Cell["task"];
  readonly tokens: number;
  readonly question: Cell["question"];
  readonly rows: readonly TableRow[];
  /** Items that the full cache answered rightly, and so can tell policies apart; undefined without a full cache. */
  readonly discriminative: number | undefined;
}

export interface TableOptions {
  /** The policy that others are compared with, beside the full cache: a name, the same budget and row dtype. */
  readonly baseline?: string;
  readonly resamples?: number;
  readonly confidence?: number;
  /** Seed of the resampling. Default 0. */
  readonly seed?: number;
}

/** Records of one row, by seed and item. */
interface Series {
  readonly cell: Cell;
  readonly records: ReadonlyMap<string, ItemRecord>;
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const kept = ({ rows }: ItemRecord) => mean(rows.flat());

/**
 * Tables of all cells that have records. `cells`: by id. Throws an `EvaluationError` if rows that are to be compared
 * have no item in common.
 */
export function tables(
  cells: ReadonlyMap<string, Cell>,
  items: ReadonlyMap<string, ItemRecord>,
  options: TableOptions = {},
): Table[] {
  const groups = new Map<string, Map<string, { cell: Cell; records: Map<string, ItemRecord> }>>();
  for (const [id, cell] of cells) {
    const { model, task, tokens, question, policy, budget, rowDType, seed } = cell;
    const group = canonicalJson({ model, task, tokens, question });
    const row = canonicalJson({ policy, budget, rowDType });
    const rows = groups.get(group) ?? new Map<string, { cell: Cell; records: Map<string, ItemRecord> }>();
    groups.set(group, rows);
    const series = rows.get(row) ?? { cell, records: new Map<string, ItemRecord>() };
    rows.set(row, series);
    for (let item = 0; item < cell.items; item++) {
      const record = items.get(itemKey({ cell: id, item }));
      if (record) series.records.set(`${seed} ${item}`, record);
    }
  }
  return [...groups.values()]
    .map((rows) => [...rows.values()].filter(({ records }) => records.size > 0))
    .filter((rows) => rows.length > 0)
    .map((rows) => tableOf(rows, options));
}

function tableOf(series: readonly Series[], options: TableOptions): Table {
  const { model, task, tokens, question } = series[0]!.cell;
  const full = (rowDType: string) => {
    const all = series.filter(({ cell }) => cell.policy.name === "full");
    return all.find(({ cell }) => cell.rowDType === rowDType) ?? all[0];
  };
  const baseline = ({ cell }: Series) =>
    series.find(
      (other) =>
        other.cell.policy.name === options.baseline &&
        other.cell.rowDType === cell.rowDType &&
        canonicalJson(other.cell.budget ?? null) === canonicalJson(cell.budget ?? null),
    );
  const againstFull = compareAll(series, (row) => full(row.cell.rowDType), options);
  const againstBaseline = compareAll(series, baseline, options);
  const reference = full(series[0]!.cell.rowDType);
  return {
    ...{ model, task, tokens, question },
    discriminative: reference && [...reference.records.values()].filter(({ score }) => score === 1).length,
    rows: series.map(({ cell, records }, index) => {
      const all = [...records.values()];
      const scores = all.map(({ score }) => score);
      const binary = scores.every((score) => score === 0 || score === 1);
      return {
        ...{ policy: cell.policy, budget: cell.budget, rowDType: cell.rowDType, items: all.length },
        score: bootstrapMean(scores, options),
        binomial: binary ? binomialInterval(scores.filter((score) => score === 1).length, scores.length) : undefined,
        againstFull: againstFull[index],
        againstBaseline: againstBaseline[index],
        bytes: mean(all.map(({ bytes }) => bytes)),
        rows: mean(all.map(kept)),
        inactive: all.filter(({ evicted }) => evicted === 0).length,
      };
    }),
  };
}

/** Compares every row with the one that `other` names for it; undefined where that is none or the row itself. */
function compareAll(
  series: readonly Series[],
  other: (row: Series) => Series | undefined,
  options: TableOptions,
): readonly (Comparison | undefined)[] {
  const found = series.map((row) => {
    const against = other(row);
    if (!against || against === row) return undefined;
    const common = [...row.records.keys()].filter((key) => against.records.has(key));
    if (common.length === 0) {
      throw new EvaluationError(
        `${row.cell.policy.name} and ${against.cell.policy.name} have no item in common; run both over the same seeds`,
      );
    }
    const scores = (of: Series) => common.map((key) => of.records.get(key)!.score);
    const [a, b] = [scores(row), scores(against)];
    return { difference: bootstrapDifference(a, b, options), p: signFlipTest(a, b, options) };
  });
  const corrected = holm(found.flatMap((comparison) => (comparison ? [comparison.p] : [])));
  let next = 0;
  return found.map((comparison) => comparison && { ...comparison, corrected: corrected[next++]! });
}
