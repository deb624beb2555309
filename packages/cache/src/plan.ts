import type { Policy } from "@ziggurat/policy";
import { elementBytes, type RowDType } from "@ziggurat/tensor";
import type { Account } from "./account.js";
import { type CacheShape, planesOf, rowBytes } from "./shape.js";
import { tableWords } from "./tables.js";

/** Rows of one sequence for which memory is reserved. */
export interface ReservedRows {
  /** Rows of each KV head's region, [layer][KV head]. */
  readonly capacity: readonly (readonly number[])[];
  /** Rows held when the last message has been read, [layer][KV head]. */
  readonly held: readonly (readonly number[])[];
  /**
   * Digests of the account after each message and each step that was planned, which the run must agree with. See
   * `Account.digest`.
   */
  readonly digests?: Int32Array;
}

/** What one turn of one sequence needs, worked out before anything is allocated. */
export interface TurnPlan extends ReservedRows {
  /** Rows per KV head that the prefill scratch needs for each message. */
  readonly messageRows: readonly number[];
  /** The most of `messageRows`; 0 if no message is read. */
  readonly scratchRows: number;
  /** The largest position (text) or rank (slot) that is rotated, plus 1. */
  readonly positions: number;
  /** Rows that the policy evicts in this turn, over all layers and heads; 0 means that it was inactive. */
  readonly evicted: number;
}

/**
 * Looks ahead over a turn: messages of these lengths, then `steps` decode steps. Throws a `PolicyError` if the policy's
 * numbers are not valid.
 */
export function planTurn(start: Account, messages: readonly number[], steps: number): TurnPlan {
  const plan = planSteps(start, messages, steps);
  while (true) {
    const next = plan.next();
    if (next.done) return next.value;
  }
}

/** `planTurn`, one message or decode step at a time: for callers that must not hold their thread for long. */
export function* planSteps(
  start: Account,
  messages: readonly number[],
  steps: number,
): Generator<undefined, TurnPlan, undefined> {
  // Reading a message replaces every arena, so what was held before needs no place in the new one. An arena has room
  // for a row of each head, even if its layer holds none (a sliding window of 1).
  const capacity = messages.length > 0 ? start.rows.map((heads) => heads.map(() => 1)) : start.rows;
  const raise = (layer: number, rows: readonly number[], extra: number) => {
    const most = capacity[layer]!;
    for (let head = 0; head < rows.length; head++) most[head] = Math.max(most[head]!, rows[head]! + extra);
  };
  let account = start;
  const messageRows: number[] = [];
  const digests = new Int32Array(messages.length + steps);
  let scratchRows = 0;
  for (const [message, tokens] of messages.entries()) {
    const rows = account.most + tokens;
    messageRows.push(rows);
    scratchRows = Math.max(scratchRows, rows);
    ({ account } = account.feed(tokens, "prefill"));
    digests[message] = account.digest;
    account.rows.forEach((held, layer) => raise(layer, held, 0));
    yield;
  }
  const held = account.rows;
  for (let step = 0; step < steps; step++) {
    const before = account;
    const after = before.feed(1, "decode");
    // A layer grows until it is compressed: only then, and at the end, it may hold more than ever before.
    for (let layer = 0; layer < capacity.length; layer++) if (after.keep[layer]) raise(layer, before.rowsOf(layer), 1);
    account = after.account;
    digests[messages.length + step] = account.digest;
    yield;
  }
  account.rows.forEach((rows, layer) => raise(layer, rows, 0));
  const slot = start.policy.positions === "slot";
  const ranks = steps > 0 ? most(capacity) : 0;
  return {
    capacity,
    held,
    digests,
    messageRows,
    scratchRows,
    positions: slot ? Math.max(scratchRows, ranks) : account.seen > start.seen ? account.seen : 0,
    evicted: account.evicted - start.evicted,
  };
}

const most = (rows: readonly (readonly number[])[]) =>
  rows.reduce((max, heads) => heads.reduce((a, b) => Math.max(a, b), max), 0);

const total = (rows: readonly (readonly number[])[]) =>
  rows.reduce((sum, heads) => heads.reduce((a, b) => a + b, sum), 0);

/** One sequence of a cache, as far as bytes are concerned. */
export interface PlannedSequence {
  readonly policy: Policy;
  readonly plan: ReservedRows;
}

/** Bytes of a cache, by label. */
export interface CacheBytes {
  /** Rows held after the prompt, with their metadata. */
  readonly cache: number;
  /** Rows for tokens still to come, with their metadata. */
  readonly room: number;
  /** The tables of where each head's rows are and how many there are, and counters. */
  readonly tables: number;
}

/** Bytes that the cache of these sequences takes, exactly. */
export function cacheBytes(shape: CacheShape, dtype: RowDType, sequences: readonly PlannedSequence[]): CacheBytes {
  const { planes } = planesOf(sequences.map(({ policy }) => policy));
  const row = rowBytes(shape.headSize, dtype, planes);
  const rows = sequences.reduce((sum, { plan }) => sum + total(plan.capacity), 0);
  const held = sequences.reduce((sum, { plan }) => sum + total(plan.held), 0);
  return { cache: held * row, room: (rows - held) * row, tables: tableBytes(shape, sequences.length) };
}

/** Bytes of the tables of a cache of `sequences` sequences. */
export const tableBytes = (shape: CacheShape, sequences: number): number =>
  4 * tableWords(shape.layers.length, sequences, shape.kvHeads);

/** One target of a prefill, as far as its scratch is concerned. */
export interface ScratchTarget {
  readonly planes: number;
  readonly slot: boolean;
}

/** Bytes of the scratch that prefill needs for K, V and cells of one layer, with `rows` rows per KV head. */
export function scratchBytes(
  shape: CacheShape,
  dtype: RowDType,
  rows: number,
  targets: readonly ScratchTarget[],
): number {
  const keysAndValues = targets.some(({ slot }) => slot) ? 3 : 2;
  const planes = targets.reduce((sum, target) => sum + target.planes, 0);
  const perRow = keysAndValues * shape.headSize * elementBytes[dtype] + 4 * planes;
  return shape.kvHeads * rows * perRow + 4 * tableWords(1, 1, shape.kvHeads);
}

/**
 * The most bytes that cache and prefill scratch take together in a turn, exactly. `before`: bytes of each layer's arena
 * when the turn starts; left out for a new cache. While the first message is read, each layer's arena is replaced by
 * one of the planned size. In a turn without a message, rows move from the old arena to the new one, layer by layer.
 */
export function peakBytes(
  shape: CacheShape,
  dtype: RowDType,
  sequences: readonly {
    readonly policy: Policy;
    readonly plan: ReservedRows & Pick<TurnPlan, "messageRows">;
  }[],
  before: readonly number[] = shape.layers.map(() => 0),
): number {
  const { planes } = planesOf(sequences.map(({ policy }) => policy));
  const row = rowBytes(shape.headSize, dtype, planes);
  const after = shape.layers.map(
    (_, layer) => row * sequences.reduce((sum, { plan }) => sum + total([plan.capacity[layer]!]), 0),
  );
  // Only the first message is read while old arenas are still there.
  let first: number | undefined;
  let later = 0;
  for (const { policy, plan } of sequences) {
    const bytesOf = (rows: number) => scratchBytes(shape, dtype, rows, [{ planes, slot: policy.positions === "slot" }]);
    for (const rows of plan.messageRows) {
      if (first === undefined) first = bytesOf(rows);
      else later = Math.max(later, bytesOf(rows));
    }
  }
  let arenas = before.reduce((a, b) => a + b, 0);
  let peak = arenas + (first ?? 0);
  after.forEach((bytes, layer) => {
    if (first === undefined) peak = Math.max(peak, arenas + bytes);
    arenas += bytes - before[layer]!;
    peak = Math.max(peak, arenas + (first ?? 0));
  });
  peak = Math.max(peak, arenas + later);
  return peak + tableBytes(shape, sequences.length);
}
