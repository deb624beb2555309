import type { Tensor } from "@ziggurat/tensor";

// What a cache policy is. A policy decides and does not act: it knows neither the backend nor the runtime, and it
// returns only counts and tensor expressions.

/** One layer of a model, as a budget sees it. */
export interface LayerShape {
  /** The layer's number in the model, 0 = lowest. */
  readonly layer: number;
  readonly kvHeads: number;
  /** Numbers in one key. */
  readonly headSize: number;
}

/**
 * One layer's cache as a policy sees it when it observes or scores. Axis 0 is (sequence, KV head): sequences that share
 * a policy object are seen in one call. The plain numbers are the same at every step. Whatever changes from step to
 * step is a tensor, so that a recorded step can be replayed. `C` names the scorer's columns.
 */
export interface LayerView<C extends string = never> {
  readonly layer: number;
  readonly layerCount: number;
  /** KV heads of one sequence. */
  readonly kvHeads: number;
  /** Query heads of one sequence. */
  readonly queryHeads: number;
  readonly headSize: number;
  /** [heads, rows, headSize]: keys after rotation. */
  readonly keys: Tensor;
  /** [heads, rows, headSize] */
  readonly values: Tensor;
  /** [heads, rows]: position in the text, 0 = first token. */
  readonly positions: Tensor;
  /** [heads, rows]: tokens read since this one, 0 = newest. */
  readonly age: Tensor;
  /**
   * [query heads, rows]: attention that each row received, summed over the newest `watch` of the queries fed in this
   * step. See {@link Scorer.watch}.
   */
  readonly mass: Tensor;
  /**
   * [query heads, rows, queries]: attention that each row received from each of the newest `watchEach` queries of this
   * step, oldest first; 0 for rows that a query does not see. See {@link Scorer.watchEach}.
   */
  readonly observed: Tensor;
  /** [1, 1, queries]: how many of the watched queries are newer than each; 0 for the newest. */
  readonly queryAge: Tensor;
  /**
   * Returns [query heads, rows]: the Euclidean norm of W x, where W is the part of the output projection that reads a
   * query head's output. `x`: [heads, rows, size] or [query heads, rows, size]. Throws a `ShapeError` for other shapes.
   */
  through(x: Tensor): Tensor;
  /** [heads, rows] each, by name: the scorer's own numbers. See {@link Scorer.columns}. */
  readonly columns: Readonly<Record<C, Tensor>>;
}

/** What a budget may know: facts of the model, and counts. */
export interface BudgetInput {
  /** The layers that the policy rules: those that attend to the whole text. Sliding layers are not among them. */
  readonly layers: readonly LayerShape[];
  /** Tokens that the sequence has read so far. */
  readonly seen: number;
  /** The most rows per head that the policy's protection can hold. */
  readonly protectedRows: number;
}

/**
 * How many rows each layer keeps, protected ones included: one entry for each of `layers`, either one number for every
 * KV head or one number per KV head. Whole numbers of at least 1; a layer that holds fewer rows keeps them all. Must be
 * a pure function: the runtime also calls it ahead of time, to size memory.
 */
export type Budget = (input: BudgetInput) => readonly (number | readonly number[])[];

/** How much each row matters. `C` names the columns that it keeps beside each row. */
export interface Scorer<C extends string = never> {
  /**
   * How many of the newest queries `view.mass` sums over: 0 (default) for none, Infinity for all. Counted within the
   * message that was just fed, or the one token of a decode step. Watching costs one pass over the keys for those
   * queries.
   */
  readonly watch?: number;
  /**
   * How many of the newest queries `view.observed` holds: 0 (default) for none, at most 1024. Counted as `watch` is. It
   * takes 4 bytes for every query head, row and query while a layer is decided about.
   */
  readonly watchEach?: number;
  /** Names of the numbers to keep beside each row: 0 when a row is appended, moved with their row. Default none. */
  readonly columns?: readonly C[];
  /**
   * Returns every column after this step, [heads, rows] each. Called after every message and every decode step, before
   * the schedule.
   */
  observe?(view: LayerView<C>): Readonly<Record<C, Tensor>>;
  /**
   * Returns [heads, rows]; rows with higher scores stay. Called when a layer is compressed. An expression has at most
   * 1024 operations.
   */
  score(view: LayerView<C>): Tensor;
}

/** Which rows stay whatever their score. */
export interface Protection {
  /**
   * The most rows per head that `mask` can set once `seen` tokens are read, so that budgets can be checked before work
   * starts.
   */
  count(seen: number): number;
  /**
   * If the mask is a union of ranges of positions, those ranges: [from, to) each. Lets `anyOf` count overlaps once.
   * Agrees with `count`.
   */
  stretches?(seen: number): readonly (readonly [from: number, to: number])[];
  /** [heads, rows]: 1 for rows that stay, 0 for others. */
  mask(view: LayerView): Tensor;
}

/** What a schedule may know of one layer after a message or a decode step. */
export interface Step {
  /** `prefill` at the end of every message that is fed, `decode` after every generated token. */
  readonly phase: "prefill" | "decode";
  readonly layer: number;
  /** Tokens that the sequence has read so far. */
  readonly seen: number;
  /** The most rows that any KV head of this layer holds. */
  readonly rows: number;
  /** The most rows by which any KV head of this layer exceeds its budget; 0 if none does. */
  readonly excess: number;
  /** Tokens read since this layer was last compressed, or since the start. */
  readonly sinceCompressed: number;
}

/** Whether a layer is compressed to its budget now. Must be a pure function, like a budget. */
export type Schedule = (step: Step) => boolean;

/** A cache policy. A plain value: spread one to make another. */
export interface Policy {
  /** Used in reports and errors. */
  readonly name: string;
  readonly budget: Budget;
  readonly score: Scorer<string>;
  readonly protect: Protection;
  readonly schedule: Schedule;
  /**
   * What a token's position is for rotary embedding. `text` (default): its place in the text; keys are stored rotated.
   * `slot`: its rank in the cache, as StreamingLLM published it; keys are stored unrotated and rotated when they are
   * read, so the text may be longer than the model's context.
   */
  readonly positions?: "text" | "slot";
}

/**
 * The ranking of a layer's rows, [heads, rows]: its scores, with Infinity for rows that the mask protects. Higher
 * stays. This is the one place where scores meet a mask.
 */
export const ranking = (score: Tensor, mask: Tensor): Tensor => mask.where(Number.POSITIVE_INFINITY, score);
