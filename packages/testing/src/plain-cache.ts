import { columnInput, viewOf } from "@ziggurat/cache";
import { layerBudgets, type Policy, ranking } from "@ziggurat/policy";
import { evaluateTensors } from "./evaluate-scorer.js";
import { gramOf } from "./gram.js";
import {
  type AttentionShape,
  attentionShares,
  headOf,
  type PlainRow,
  type PlainToken,
  rotated,
} from "./plain-attention.js";
import { ConformanceError } from "./run-case.js";
import type { PolicyOutcome, PolicyTurn, PolicyTurnResult, RawLayer, RunPolicyResult } from "./run-policy.js";

/** What went into a run and what came out. */
export interface PolicyRun extends AttentionShape {
  readonly policy: Policy;
  readonly layers: readonly RawLayer[];
  readonly steps: readonly (readonly RawLayer[])[];
  readonly turns?: readonly PolicyTurn[];
  /** The output projection, per layer, [queryHeads, headSize, hidden]. Needed if the policy uses `through`. */
  readonly output?: readonly Float32Array[];
  readonly result: RunPolicyResult;
}

/** Greatest error of an attention output, relative to 1 + |expected|. */
const outputTolerance = 1e-3;
/** Scores that differ by less, relative to their size, may rank either way: they were summed in another order. */
const scoreTolerance = 1e-4;

/** One layer as a cache that does nothing clever would hold it: rows in the order of the text, in plain lists. */
class PlainLayer {
  /** Every token read so far, by position. */
  readonly text: PlainToken[] = [];
  /** Positions in the text, ascending, [KV head]. */
  rows: number[][];
  /** [column][KV head][row] */
  columns: number[][][];
  since = 0;

  constructor({ kvHeads, policy }: PolicyRun) {
    this.rows = Array.from({ length: kvHeads }, () => []);
    this.columns = (policy.score.columns ?? []).map(() => this.rows.map(() => []));
  }
}

/** A message or a decode step, and what came of it. */
interface Event {
  readonly name: string;
  readonly phase: "prefill" | "decode";
  readonly raws: readonly RawLayer[];
  readonly outcome: PolicyOutcome;
}

/** All messages and steps of a run, in order. */
function eventsOf({ layers, steps, turns = [], result }: PolicyRun): Event[] {
  const events: Event[] = [];
  const add = (turn: PolicyTurn, { prefill, steps: outcomes }: PolicyTurnResult, message: string, after: string) => {
    if (turn.layers) events.push({ name: message, phase: "prefill", raws: turn.layers, outcome: prefill! });
    turn.steps?.forEach((raws, step) => {
      events.push({ name: `step ${step + 1}${after}`, phase: "decode", raws, outcome: outcomes[step]! });
    });
  };
  add({ layers, steps }, result, "prompt", "");
  turns.forEach((turn, index) => add(turn, result.turns[index]!, `turn ${index + 2}`, ` of turn ${index + 2}`));
  return events;
}

/**
 * Holds what a cache did against a cache that is as simple as possible. After every message and every step, attention
 * is over just the rows that were held, by their positions in the text or their ranks; the schedule and the budget say
 * how many rows stay, and the score says which, protected ones first. Throws a `ConformanceError` that says where they
 * part.
 */
export async function checkRun(run: PolicyRun): Promise<void> {
  const plain = run.layers.map(() => new PlainLayer(run));
  for (const event of eventsOf(run))
    for (const [layer, state] of plain.entries()) await checkLayer(run, state, layer, event);
}

async function checkLayer(run: PolicyRun, state: PlainLayer, layer: number, event: Event): Promise<void> {
  const { policy, kvHeads, queryHeads, headSize } = run;
  const { name, phase, raws, outcome } = event;
  const kept = outcome.kept[layer]!;
  const output = outcome.outputs[layer]!;
  const fail = (what: string): never => {
    throw new ConformanceError(`${policy.name}: ${name}, layer ${layer}: ${what}`);
  };
  const raw = raws[layer]!;
  const tokens = raw.q.length / (queryHeads * headSize);
  const fresh = Array.from({ length: tokens }, (_, token) => state.text.length + token);
  for (let token = 0; token < tokens; token++) state.text.push({ raw, token, tokens });
  const seen = state.text.length;
  const held = state.rows.map((rows) => [...rows, ...fresh]);
  const rowsOf = (head: number): PlainRow[] =>
    held[head]!.map((position, rank) => ({
      ...state.text[position]!,
      position: policy.positions === "slot" ? rank : position,
    }));
  const rows = held.map((_, head) => rowsOf(head));
  const watched = checkAttention(run, rows, fresh.length, output, fail);

  const shape = run.layers.map((_, at) => ({ layer: at, kvHeads, headSize: run.headSize }));
  const budget = layerBudgets(policy, { layers: shape, seen, protectedRows: policy.protect.count(seen) })[layer]!;
  const excess = Math.max(0, ...held.map((list, head) => list.length - budget[head]!));
  state.since += fresh.length;
  const most = Math.max(...held.map(({ length }) => length));
  const compresses = policy.schedule({ phase, layer, seen, rows: most, excess, sinceCompressed: state.since });
  if (compresses) state.since = 0;
  const { columns, scores, masks } = await decide(run, layer, {
    held,
    rows,
    ...watched,
    columns: state.columns,
    newest: seen - 1,
  });

  held.forEach((list, head) => {
    const mine = kept[head]!;
    const where = `KV head ${head}: `;
    if (mine.some((row, index) => index > 0 && row <= mine[index - 1]!)) fail(`${where}kept [${mine}] does not ascend`);
    const stray = mine.find((row) => !list.includes(row));
    if (stray !== undefined) fail(`${where}kept ${stray}, which ${stray < seen ? "had been evicted" : "was not read"}`);
    const keep = compresses ? Math.min(list.length, budget[head]!) : list.length;
    if (mine.length !== keep)
      fail(
        `${where}kept ${mine.length} rows of ${list.length}; the schedule and the budget, ${budget[head]}, say ${keep}`,
      );
    const guarded = list.filter((_, row) => masks[head]![row] !== 0);
    const promised = policy.protect.count(seen);
    if (guarded.length > promised)
      fail(`${where}${guarded.length} rows are protected; protect.count says ${promised} at most`);
    const lost = guarded.find((row) => !mine.includes(row));
    if (lost !== undefined) fail(`${where}evicted ${lost}, which is protected`);
    const score = (row: number) => scores[head]![list.indexOf(row)]!;
    const gone = list.filter((row) => !mine.includes(row));
    const best = gone.length > 0 ? gone.reduce((a, b) => (before(score, b, a) ? b : a)) : undefined;
    const worst = mine.reduce((a, b) => (before(score, a, b) ? b : a), mine[0]!);
    if (best !== undefined && before(score, best, worst) && !near(score(best), score(worst))) {
      fail(`${where}evicted ${best} of score ${score(best)}, kept ${worst} of score ${score(worst)}`);
    }
  });
  state.columns = columns.map((column) =>
    column.map((head, index) => head.filter((_, row) => kept[index]!.includes(held[index]![row]!))),
  );
  state.rows = kept.map((list) => [...list]);
}

/** Whether row `a` stays before row `b`: a greater score, then the lower position; NaN is below everything. */
function before(score: (row: number) => number, a: number, b: number): boolean {
  const [x, y] = [score(a), score(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) === Number.isNaN(y) ? a < b : Number.isNaN(y);
  return x === y ? a < b : x > y;
}

const near = (a: number, b: number) =>
  Math.abs(a - b) <= scoreTolerance * Math.max(Math.abs(a), Math.abs(b)) && a !== b;

/** What the watched queries gave to each row. */
interface Watched {
  /** From all of them, [query head][row]. */
  readonly mass: readonly (readonly number[])[];
  /** From each of those that are watched one by one, [query head][row][query]. */
  readonly observed: readonly (readonly (readonly number[])[])[];
}

/** Checks the outputs; returns the attention of the watched queries. */
function checkAttention(
  run: PolicyRun,
  rows: readonly PlainRow[][],
  fresh: number,
  output: Float32Array,
  fail: (what: string) => never,
): Watched {
  const { queryHeads, kvHeads, headSize, policy } = run;
  const watched = Math.min(policy.score.watch ?? 0, fresh);
  const each = Math.min(policy.score.watchEach ?? 0, fresh);
  const heads = Array.from({ length: queryHeads }, (_, head) => {
    const kv = Math.floor(head / (queryHeads / kvHeads));
    const all = rows[kv]!;
    const mass = all.map(() => 0);
    const observed = all.map(() => new Array<number>(Math.max(1, each)).fill(0));
    for (let query = 0; query < fresh; query++) {
      const visible = all.slice(0, all.length - fresh + query + 1);
      const shares = attentionShares(run, head, visible.at(-1)!, visible);
      const expected = new Float64Array(headSize);
      shares.forEach((share, index) => {
        const v = headOf("v", visible[index]!, kv, headSize);
        for (let d = 0; d < headSize; d++) expected[d]! += share * v[d]!;
        if (query >= fresh - watched) mass[index]! += share;
        if (query >= fresh - each) observed[index]![query - fresh + each] = share;
      });
      expected.forEach((value, d) => {
        const got = output[(head * fresh + query) * headSize + d]!;
        if (!(Math.abs(got - value) <= outputTolerance * (1 + Math.abs(value)))) {
          fail(
            `query head ${head}, token ${query} of ${fresh}: attention gave ${got}; over the rows held it is ${value}`,
          );
        }
      });
    }
    return { mass, observed };
  });
  return { mass: heads.map(({ mass }) => mass), observed: heads.map(({ observed }) => observed) };
}

/** One layer's rows when the policy decides about them. */
interface Moment extends Watched {
  readonly held: readonly (readonly number[])[];
  readonly rows: readonly (readonly PlainRow[])[];
  /** Before the step; rows that are new have none yet. */
  readonly columns: readonly (readonly (readonly number[])[])[];
  readonly newest: number;
}

/**
 * Evaluates what the policy says of one layer on the reference: columns after the step, scores with protected rows at
 * Infinity, and the mask.
 */
async function decide(run: PolicyRun, layer: number, { held, rows, mass, observed: seen, columns, newest }: Moment) {
  const { policy, kvHeads, queryHeads, headSize, ropeTheta, layers } = run;
  const capacity = Math.max(...held.map(({ length }) => length));
  const padded = (lists: readonly (readonly number[])[], rowSize = 1) =>
    lists.flatMap((list) => [...list, ...new Array<number>(capacity * rowSize - list.length).fill(0)]);
  const flat = (part: "k" | "v") =>
    rows.map((list, head) =>
      list.flatMap((row) => {
        const numbers = headOf(part, row, head, headSize);
        return [...(part === "k" ? rotated(numbers, row.position, ropeTheta) : numbers)];
      }),
    );
  const names = policy.score.columns ?? [];
  const queries = seen[0]![0]!.length;
  const numbers: Record<string, ArrayLike<number>> = {
    positions: padded(held),
    newest: held.map(() => newest),
    keys: padded(flat("k"), headSize),
    values: padded(flat("v"), headSize),
    mass: padded(mass),
    observed: padded(
      seen.map((list) => list.flat()),
      queries,
    ),
    queryAge: Array.from({ length: queries }, (_, query) => queries - 1 - query),
    ...(run.output ? { gram: gramOf(run.output[layer]!, queryHeads, headSize) } : {}),
    ...Object.fromEntries(names.map((name, index) => [columnInput(name), padded(columns[index]!)])),
  };
  const facts = {
    layer,
    layerCount: layers.length,
    kvHeads,
    queryHeads,
    headSize,
    sequences: 1,
    rows: capacity,
    queries,
  };
  const view = viewOf(facts, names);
  const observed = policy.score.observe?.(view) ?? view.columns;
  const after = { ...view, columns: observed };
  const mask = policy.protect.mask(after);
  const outputs = [...names.map((name) => observed[name]!), ranking(policy.score.score(after), mask), mask];
  const lengths = held.map((list) => list.length);
  const lists = (await evaluateTensors(outputs, numbers, lengths)).map((heads) =>
    heads.map((head, index) => head.slice(0, lengths[index])),
  );
  return { columns: lists.slice(0, names.length), scores: lists.at(-2)!, masks: lists.at(-1)! };
}
