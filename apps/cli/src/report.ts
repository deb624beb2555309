import type { Mode, Refusal, Run } from "./comparison.js";
import { barScale, bars, bytes, type Column, oneLine, percent, rate, seconds, table, wrap } from "./format.js";

/** A whole comparison: what --json prints. */
export interface Comparison {
  readonly model: string;
  readonly backend: string;
  readonly device: string;
  /** What rows of K and V are stored in. */
  readonly rows: string;
  readonly mode: Mode;
  /** The kind of documents, if they were generated. */
  readonly task?: string;
  /** Tokens of the (first) prompt. */
  readonly promptTokens: number;
  readonly question: string | null;
  readonly expected: string | null;
  /** Tokens after the prompt that were scored, if no question was answered. */
  readonly scoredTokens?: number;
  /** Documents that were read. */
  readonly documents: number;
  readonly runs: readonly (Run & { readonly seed?: number })[];
  /** Policies that did not run, and why. */
  readonly refusals: readonly (Refusal & { readonly seed?: number })[];
  /** How often each policy was right, if there are several documents. */
  readonly summary?: readonly Summary[];
  readonly seconds: number;
}

export interface Summary {
  readonly policy: string;
  readonly keep: number | null;
  readonly budget: string;
  readonly documents: number;
  readonly right: number;
  readonly share: number;
}

const answerColumns: readonly Column[] = [{ title: "answer" }, { title: "" }];
const scoreColumns: readonly Column[] = [{ title: "perplexity", right: true }];
const columns = (answers: readonly Column[], timed: boolean): Column[] => [
  { title: "policy" },
  { title: "keep", right: true },
  ...answers,
  { title: "rows per layer" },
  { title: "K/V", right: true },
  { title: "peak", right: true },
  { title: "prefill", right: true },
  { title: "decode", right: true },
  ...(timed ? [{ title: "policy", right: true }] : []),
];
const answerColumn = 2;

/** Tokens that a median of decode speeds is taken over: eight groups of eight and the first. */
export const enoughTokens = 64;

/** Whether a share of the prompt was less than the policy accepts. */
const isRaised = ({ budget, keep, promptTokens }: Run): boolean =>
  keep !== null && budget.endsWith("%") && keep > Math.round((Number(budget.slice(0, -1)) / 100) * promptTokens);

const mark = (correct: boolean | null): string => (correct === null ? " " : correct ? "✓" : "✗");
const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;
const sameCell = (a: Run, b: Run): boolean => a.policy === b.policy && a.budget === b.budget;

/** Runs of one policy and budget over all documents, in the order of the policies. */
export const cells = (runs: readonly Run[]): Run[][] => {
  const found: Run[][] = [];
  for (const run of runs) {
    const cell = found.find(([first]) => sameCell(first!, run));
    if (cell) cell.push(run);
    else found.push([run]);
  }
  return found;
};

export const summarise = (runs: readonly Run[]): Summary[] =>
  cells(runs).map((cell) => {
    const { policy, keep, budget } = cell[0]!;
    const right = cell.filter(({ correct }) => correct).length;
    return { policy, keep, budget, documents: cell.length, right, share: right / cell.length };
  });

const rightOf = (cell: readonly Run[]): string => {
  const { right, documents, share } = summarise(cell)[0]!;
  return `${right} of ${documents} right, ${percent(share)}`;
};

/** The table and its notes, for a terminal of `width` columns. */
export function report(comparison: Comparison, width: number): string[] {
  const all = cells(comparison.runs);
  const timed = comparison.runs.every(({ policySeconds }) => policySeconds !== null);
  const scored = comparison.scoredTokens !== undefined;
  const shown = columns(scored ? scoreColumns : answerColumns, timed);
  const several = comparison.documents > 1;
  const rows = all.map((cell) => {
    const run = cell[0]!;
    const of = (value: (run: Run) => number) => mean(cell.map(value));
    return [
      run.policy,
      run.budget,
      ...(scored
        ? [run.perplexity!.toFixed(3)]
        : [several ? rightOf(cell) : run.answer!, several ? "" : mark(run.correct)]),
      bars(run.rowsPerLayer, barScale(run)),
      bytes(of(({ kvBytes }) => kvBytes)),
      bytes(of(({ kvPeakBytes }) => kvPeakBytes)),
      `${rate(of(({ prefillTokensPerSecond }) => prefillTokensPerSecond))}/s`,
      `${rate(of(({ decodeTokensPerSecond }) => decodeTokensPerSecond))}/s`,
      ...(timed ? [seconds(of(({ policySeconds }) => policySeconds!))] : []),
    ];
  });
  // The answers get the width that the other columns leave.
  if (!several && !scored) {
    const bare = rows.map((row) => row.map((cell, at) => (at === answerColumn ? "" : cell)));
    const others = Math.max(...table(shown, bare).map((line) => [...line].length)) - shown[answerColumn]!.title.length;
    for (const row of rows) row[answerColumn] = oneLine(row[answerColumn]!, Math.max(12, width - others));
  }
  return [
    ...heading(comparison, width),
    "",
    ...table(shown, rows),
    ...refusedLines(comparison).flatMap((line) => wrap(line, width)),
    "",
    ...notes(comparison, all).flatMap((note) => wrap(note, width)),
  ];
}

/** A line for each policy that did not run; one for all documents that it refused for the same reason. */
function refusedLines({ refusals, documents }: Comparison): string[] {
  const counts = new Map<string, number>();
  for (const { policy, budget, refused } of refusals) {
    const line = `${policy}${budget === "" ? "" : ` ${budget}`} did not run: ${refused}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts].map(([line, count]) => (documents > 1 ? `${line} (${count} of ${documents} documents)` : line));
}

function heading(
  { model, backend, device, rows, mode, promptTokens, question, expected, documents, scoredTokens }: Comparison,
  width: number,
): string[] {
  const tokens =
    documents > 1
      ? `${documents} documents of about ${promptTokens} tokens`
      : `${promptTokens} tokens${scoredTokens === undefined ? "" : ` and the ${scoredTokens} that follow`}`;
  const how = {
    shared: "one prefill for all policies",
    isolated: "each policy alone",
    "ask-later": "each policy alone, the question in a second turn",
  };
  const lines = [`${model} on ${backend} (${device}), K/V in ${rows}; ${tokens}, ${how[mode]}`];
  if (documents > 1 || question === null) return lines;
  return [
    ...lines,
    `question: ${oneLine(question, width - 10)}`,
    ...(expected === null ? [] : [`expected: ${oneLine(expected, width - 10)}`]),
  ];
}

function notes(
  { mode, task, documents, expected, scoredTokens, seconds: took }: Comparison,
  all: readonly Run[][],
): string[] {
  const shared = mode === "shared";
  const lines = [
    "rows per layer: first layer at the left; half height is the budget. K/V: bytes after the prompt, with metadata.",
    shared
      ? "peak: with the prefill's scratch. Scratch and prefill speed are those of the one prefill for all; --isolate runs each alone."
      : "peak: the most bytes of K/V, room for the answer and prefill scratch together, as the backend counted them.",
  ];
  const timed = Math.max(...all.flat().map(({ timedTokens }) => timedTokens));
  if (scoredTokens !== undefined) {
    lines.push(
      `perplexity: of the ${scoredTokens} tokens that follow the prompt, fed one by one to each policy's own cache; decode: over the same. One stretch of one text: small differences may be chance.`,
    );
  } else if (all.length > 1)
    lines.push(
      timed < enoughTokens
        ? `decode: over ${timed} tokens, too few to compare speeds; --max-tokens ${enoughTokens} gives a median.`
        : `decode: the median over ${timed} tokens of each policy, however long its answer is.`,
    );
  const inactive = all.filter((cell) => cell[0]!.keep !== null && cell.some(({ active }) => !active));
  if (inactive.length > 0) {
    const names = inactive.map(([run]) => `${run!.policy} ${run!.budget}`).join(", ");
    lines.push(`inactive, nothing was evicted because the prompt fits the budget: ${names}.`);
  }
  const raised = all.filter(([run]) => isRaised(run!));
  if (raised.length > 0) {
    const names = raised.map(([run]) => `${run!.policy} ${run!.budget}: ${run!.keep}`).join(", ");
    lines.push(
      `raised to the fewest rows that the policy accepts, more than the share of so short a prompt: ${names}.`,
    );
  }
  if (documents === 1 && expected !== null) {
    const count = task === undefined ? "--task needles --repeat 20" : "--repeat 20";
    lines.push(`One document says little about a policy: ${count} counts right answers over 20.`);
  }
  return [...lines, `The comparison took ${seconds(took)}.`];
}
