import type { Tensor } from "@ziggurat/tensor";

// What a cache policy is. A policy decides, it does not act: it knows neither backend nor runtime, and what it returns
// are counts and expressions.

/** One layer of a model, as far as its cache is concerned. */
export interface LayerShape {
  /**
   * `global` layers attend to the whole text; `sliding` ones to the last rows only, and no policy is asked about those.
   */
  readonly kind: "global" | "sliding";
  readonly kvHeads: number;
  /** Numbers in one key. */
  readonly headSize: number;
}

/**
 * One layer's cache as a policy sees it when it observes or scores. Axis 0 is (sequence, KV head): sequences that share
 * a policy object are seen in one call. Numbers here are the same at every step; whatever changes from step to step is
 * a tensor, so that a recorded step can be replayed.
 */
export interface LayerView {
  readonly layer: number;
  readonly layerCount: number;
  /** KV heads of one sequence. */
  readonly kvHeads: number;
  /** Query heads of one sequence. */
  readonly queryHeads: number;
  readonly headSize: number;
  /** [heads, rows, headSize], rotated. */
  readonly keys: Tensor;
  /** [heads, rows, headSize] */
  readonly values: Tensor;
  /** [heads, rows]: place in the text, 0 = first token. */
  readonly positions: Tensor;
  /** [heads, rows]: tokens read since this one, 0 = newest. */
  readonly age: Tensor;
  /**
   * [query heads, rows]: attention that each row received, summed over the newest `watch` of the queries fed in this
   * step. See {@link Scorer.watch}.
   */
  readonly mass: Tensor;
  /** [heads, rows] each: this scorer's own. See {@link Scorer.columns}. */
  readonly columns: readonly Tensor[];
}

/** What a budget may know: facts of the model and counts. */
export interface BudgetInput {
  readonly layers: readonly LayerShape[];
  /** Tokens that the sequence has read so far. */
  readonly seen: number;
  /** The most rows per head that the policy's protection can hold. */
  readonly protectedRows: number;
}

/**
 * How many rows each layer keeps, protected ones included: per layer one number for every KV head, or one number per KV
 * head. Whole numbers of at least 1; a layer that holds fewer keeps them all. Pure: the runtime also asks ahead of
 * time, to size memory.
 */
export type Budget = (input: BudgetInput) => readonly (number | readonly number[])[];

/** How much each row matters. */
export interface Scorer {
  /**
   * How many of the newest queries `view.mass` sums over: 0 (default) for none, Infinity for all. Counted within the
   * message that was just fed, or the one token of a decode step. Watching costs one pass over the keys for those
   * queries.
   */
  readonly watch?: number;
  /** Numbers to keep beside each row: 0 on append, moved with their row. Default 0. */
  readonly columns?: number;
  /**
   * The columns after this step, [heads, rows] each. Runs after every message and every decode step, before the
   * schedule is asked.
   */
  observe?(view: LayerView): readonly Tensor[];
  /** [heads, rows]; higher stays. Runs when the schedule fires. */
  score(view: LayerView): Tensor;
}

/** Which rows stay whatever their score. */
export interface Protection {
  /**
   * The most rows per head that `mask` can set once `seen` tokens are read, so that budgets can be checked before work
   * starts.
   */
  count(seen: number): number;
  /**
   * The same as stretches of the text, [from, to) each, where the mask is made of such: who joins protections then
   * counts what they share once. Agrees with `count`.
   */
  stretches?(seen: number): readonly (readonly [from: number, to: number])[];
  /** [heads, rows]: 1 where the row stays. */
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
  /** The most rows by which any KV head of this layer exceeds its budget; 0 where none does. */
  readonly excess: number;
  /** Tokens read since this layer was last compressed, or since the start. */
  readonly sinceCompressed: number;
}

/** When a layer is compressed down to its budget. Pure, like a budget. */
export type Schedule = (step: Step) => boolean;

/** A cache policy. A plain value: make a new one by spreading another. */
export interface Policy {
  /** For reports and errors. */
  readonly name: string;
  readonly budget: Budget;
  readonly score: Scorer;
  readonly protect: Protection;
  readonly schedule: Schedule;
  /**
   * Where a token is, for rotary embedding. `text` (default): where it was in the text; keys are stored rotated.
   * `slot`: its rank in the cache, as StreamingLLM published it; keys are stored unrotated and rotated when read, so
   * the text may be longer than the model's context.
   */
  readonly positions?: "text" | "slot";
}

/**
 * The ranking of a layer's rows, [heads, rows]: its scores, with Infinity for rows that the mask protects. Higher stays.
 * This is the one place where scores meet a mask.
 */
export const ranking = (score: Tensor, mask: Tensor): Tensor => mask.where(Number.POSITIVE_INFINITY, score);
