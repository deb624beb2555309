import type { Policy } from "@ziggurat/policy";
import { elementBytes, type RowDType } from "@ziggurat/tensor";
import type { Progress } from "./progress.js";
import { type CacheShape, planesOf, rowBytes } from "./shape.js";
import { tableWords } from "./tables.js";

/** What one turn of one sequence needs: arithmetic, done before anything is allocated. */
export interface TurnPlan {
  /** Rows that each KV head's region must have room for, [layer][KV head]. */
  readonly capacity: readonly (readonly number[])[];
  /** Rows held when the last message has been read, [layer][KV head]. */
  readonly held: readonly (readonly number[])[];
  /** Rows per KV head that the prefill scratch needs for each message. */
  readonly messageRows: readonly number[];
  /** The most of them; 0 where no message is read. */
  readonly scratchRows: number;
  /** The largest position (text) or rank (slot) that is rotated, plus 1. */
  readonly positions: number;
  /** Rows that the policy evicts in this turn, over all layers and heads; 0 means that it was inactive. */
  readonly evicted: number;
}

/**
 * Looks ahead over the messages and `maxTokens` generated tokens. Throws a `PolicyError` where the policy's numbers
 * cannot be.
 */
export function planTurn(start: Progress, messages: readonly number[], maxTokens: number): TurnPlan {
  const progress = start.clone();
  const slot = progress.policy.positions === "slot";
  const copyRows = () => progress.rows.map((heads) => [...heads]);
  const messageRows: number[] = [];
  let positions = 0;
  const capacity = copyRows();
  const grow = (extra: number) =>
    progress.rows.forEach((heads, layer) => {
      const most = capacity[layer]!;
      for (let head = 0; head < heads.length; head++) most[head] = Math.max(most[head]!, heads[head]! + extra);
    });
  const read = (tokens: number, phase: "prefill" | "decode") => {
    positions = Math.max(positions, (slot ? progress.most : progress.seen) + tokens);
    progress.feed(tokens, phase);
  };
  // Reading a message brings arenas of another size.
  if (messages.length > 0) for (const heads of capacity) heads.fill(0);
  for (const tokens of messages) {
    messageRows.push(progress.most + tokens);
    read(tokens, "prefill");
    grow(0);
  }
  const held = copyRows();
  for (let step = 0; step < maxTokens; step++) {
    grow(1);
    read(1, "decode");
  }
  return {
    capacity,
    held,
    messageRows,
    scratchRows: Math.max(0, ...messageRows),
    positions,
    evicted: progress.evicted - start.evicted,
  };
}

const total = (rows: readonly (readonly number[])[]) =>
  rows.reduce((sum, heads) => heads.reduce((a, b) => a + b, sum), 0);

/** One sequence of a cache, as far as bytes are concerned. */
export interface PlannedSequence {
  readonly policy: Policy;
  readonly plan: Pick<TurnPlan, "capacity" | "held">;
}

/** Bytes of a cache, by label. */
export interface CacheBytes {
  /** Rows held after the prompt, with their metadata. */
  readonly cache: number;
  /** Rows for tokens still to come, with their metadata. */
  readonly room: number;
  /** Where each head's rows are, how many there are, and counters. */
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
 * when the turn starts; none for a new cache. While the first message is read, each layer's arena gives way to one of
 * the planned size; where there is no message, rows move from the old one to the new.
 */
export function peakBytes(
  shape: CacheShape,
  dtype: RowDType,
  sequences: readonly { readonly policy: Policy; readonly plan: Pick<TurnPlan, "capacity" | "held" | "messageRows"> }[],
  before: readonly number[] = shape.layers.map(() => 0),
): number {
  const { planes } = planesOf(sequences.map(({ policy }) => policy));
  const row = rowBytes(shape.headSize, dtype, planes);
  const after = shape.layers.map(
    (_, layer) => row * sequences.reduce((sum, { plan }) => sum + total([plan.capacity[layer]!]), 0),
  );
  const scratches = sequences.flatMap(({ policy, plan }) =>
    plan.messageRows.map((rows) => scratchBytes(shape, dtype, rows, [{ planes, slot: policy.positions === "slot" }])),
  );
  let arenas = before.reduce((a, b) => a + b, 0);
  let peak = arenas + (scratches[0] ?? 0);
  after.forEach((bytes, layer) => {
    if (scratches.length === 0) peak = Math.max(peak, arenas + bytes);
    arenas += bytes - before[layer]!;
    peak = Math.max(peak, arenas + (scratches[0] ?? 0));
  });
  for (const scratch of scratches.slice(1)) peak = Math.max(peak, arenas + scratch);
  return peak + tableBytes(shape, sequences.length);
}
