import type { Backend, Slice } from "@ziggurat/tensor";
import type { Pool } from "./pool.js";

/** Rows of each head that are to be kept or copied. */
export interface Choice {
  /** i32 [heads, most]: their numbers, counted from the head's first row. */
  readonly rows: Slice;
  /** i32 [heads]: how many of them there are. */
  readonly count: Slice;
  readonly most: number;
}

/** Where rows of some heads are. */
export interface RowsPlace {
  readonly backend: Backend;
  readonly pool: Pool;
  readonly heads: number;
  /** A bound on what any head holds. */
  readonly capacity: number;
  readonly arenaRows: number;
  readonly positions: Slice;
  readonly offset: Slice;
  readonly length: Slice;
}

const take = (pool: Pool, heads: number, most: number): Choice => ({
  rows: pool.take(heads * most),
  count: pool.take(heads),
  most,
});

/** Returns a choice's buffers to its pool. Commands enqueued before may still use them. */
export function release(pool: Pool, { rows, count }: Choice): void {
  pool.free(rows.buffer);
  pool.free(count.buffer);
}

/** Enqueues the choice of all rows, in the order of the text. */
export async function allRows(place: RowsPlace): Promise<Choice> {
  const { backend, pool, heads, capacity, arenaRows, positions, offset, length } = place;
  const choice = take(pool, heads, capacity);
  const { rows, count } = choice;
  const order = await backend.prepare("order", { heads, capacity, arenaRows });
  backend.dispatch(order, { positions, offset, length, rows, count });
  return choice;
}

/**
 * Prepares the choice of the rows with the highest `scores`, f32 [heads, capacity]: `keep` i32 [heads] of each head, of
 * which none is above `most`.
 */
export async function bestRows(
  place: RowsPlace,
  scores: Slice,
  { keep, most }: { readonly keep: Slice; readonly most: number },
): Promise<{ readonly choice: Choice; run(): void }> {
  const { backend, pool, heads, capacity, arenaRows, positions, offset, length } = place;
  const choice = take(pool, heads, most);
  const { rows, count } = choice;
  const topk = await backend.prepare("topk", { heads, capacity, most, arenaRows });
  return {
    choice,
    run: () => backend.dispatch(topk, { scores, positions, offset, length, keep, rows, count }),
  };
}
