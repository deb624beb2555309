import type { Policy } from "@ziggurat/policy";
import { elementBytes, type RowDType } from "@ziggurat/tensor";
import type { Progress } from "./progress.js";
import { type CacheShape, planesOf, rowBytes } from "./shape.js";

/** What one turn of one sequence needs: arithmetic, done before anything is allocated. */
export interface TurnPlan {
  /** Rows that each KV head's region must have room for, [layer][KV head]. */
  readonly capacity: readonly (readonly number[])[];
  /** Rows held when the last message has been read, [layer][KV head]. */
  readonly held: readonly (readonly number[])[];
  /** Rows per KV head that the prefill scratch needs. */
  readonly scratchRows: number;
  /** The largest position (text) or rank (slot) that is rotated, plus 1. */
  readonly positions: number;
  /** Rows that the policy evicts in this turn, over all layers and heads; 0 means that it was inactive. */
  readonly evicted: number;
}

/** Looks ahead over the messages and `maxTokens` generated tokens. Throws a `PolicyError` where the policy's numbers cannot be. */
export function planTurn(start: Progress, messages: readonly number[], maxTokens: number): TurnPlan {
  const progress = start.clone();
  const slot = progress.policy.positions === "slot";
  const most = () => Math.max(...progress.rows.flat());
  let scratchRows = 0;
  let positions = 0;
  const capacity = progress.rows.map((heads) => [...heads]);
  const grow = (extra: number) =>
    progress.rows.forEach((heads, layer) =>
      heads.forEach((rows, head) => {
        const needed = rows + extra;
        if (needed > capacity[layer]![head]!) capacity[layer]![head] = needed;
      }),
    );
  if (messages.length > 0) capacity.forEach((heads) => heads.fill(0));
  for (const tokens of messages) {
    scratchRows = Math.max(scratchRows, most() + tokens);
    positions = Math.max(positions, slot ? most() + tokens : progress.seen + tokens);
    progress.feed(tokens, "prefill");
    grow(0);
  }
  const held = progress.rows.map((heads) => [...heads]);
  for (let step = 0; step < maxTokens; step++) {
    positions = Math.max(positions, slot ? most() + 1 : progress.seen + 1);
    grow(1);
    progress.feed(1, "decode");
  }
  return { capacity, held, scratchRows, positions, evicted: progress.evicted - start.evicted };
}

const total = (rows: readonly (readonly number[])[]) => rows.reduce((sum, heads) => heads.reduce((a, b) => a + b, sum), 0);

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
export function cacheBytes(
  shape: CacheShape,
  dtype: RowDType,
  sequences: readonly { policy: Policy; plan: Pick<TurnPlan, "capacity" | "held"> }[],
): CacheBytes {
  const { planes } = planesOf(sequences.map(({ policy }) => policy));
  const row = rowBytes(shape.headSize, dtype, planes);
  const rows = sequences.reduce((sum, { plan }) => sum + total(plan.capacity), 0);
  const held = sequences.reduce((sum, { plan }) => sum + total(plan.held), 0);
  return { cache: held * row, room: (rows - held) * row, tables: tableBytes(shape, sequences.length) };
}

/** Bytes of the tables of a cache of `sequences` sequences. */
export const tableBytes = (shape: CacheShape, sequences: number): number =>
  4 * (3 * shape.layers.length * sequences * shape.kvHeads + sequences * shape.kvHeads + sequences);

/** One target of a prefill, as far as its scratch is concerned. */
export interface ScratchTarget {
  readonly planes: number;
  readonly slot: boolean;
}

/** Bytes of the scratch that prefill needs for K, V and cells of one layer, with `rows` rows per KV head. */
export function scratchBytes(shape: CacheShape, dtype: RowDType, rows: number, targets: readonly ScratchTarget[]): number {
  const keysAndValues = targets.some(({ slot }) => slot) ? 3 : 2;
  const planes = targets.reduce((sum, target) => sum + target.planes, 0);
  const perRow = keysAndValues * shape.headSize * elementBytes[dtype] + 4 * planes;
  return shape.kvHeads * rows * perRow + 4 * (4 * shape.kvHeads + 1);
}
