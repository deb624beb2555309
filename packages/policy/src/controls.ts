import { uniform } from "./budgets.js";
import { checkOptions, checkWhole, refuse } from "./check.js";
import type { Policy } from "./policy.js";
import { anyOf, first, last, none } from "./protections.js";
import { afterPrefill, never } from "./schedules.js";
import { randomScore, recency } from "./scorers.js";

// What a policy is held against. `random` and `sinksAndRecent` evict at the same moment as SnapKV, so that only the
// choice of rows differs.

/** Keeps every row. */
export const full = (): Policy => ({
  name: "full",
  budget: ({ layers, seen }) => layers.map(() => Math.max(1, seen)),
  score: recency,
  protect: none,
  schedule: never(),
});

export interface RandomOptions {
  /** Rows that each layer keeps, the newest included. Whole, at least 1. */
  readonly keep: number;
  /** Another seed, other rows. Whole, from 0 to 2147483647. Default 0. */
  readonly seed?: number;
  /**
   * How many of the rows are the newest tokens. From 0 to `keep`. Default: 32, SnapKV's window, or half of `keep` if
   * that is less.
   */
  readonly recent?: number;
}

/** Rows drawn at random, another draw for every layer and head, beside the newest; after every message. */
export function random(options: RandomOptions): Policy {
  checkOptions("random", options, ["keep", "seed", "recent"]);
  const keep = checkWhole("random", "keep", options.keep, 1);
  const seed = checkWhole("random", "seed", options.seed ?? 0, 0);
  const recent = checkWhole("random", "recent", options.recent ?? Math.min(32, Math.floor(keep / 2)), 0);
  if (keep < recent) refuse("random", "keep", keep, `at least recent, ${recent}`);
  return {
    name: "random",
    budget: uniform(keep),
    score: randomScore(seed),
    protect: last(recent),
    schedule: afterPrefill(),
  };
}

export interface SinksAndRecentOptions {
  /** Rows that each layer keeps, the sinks included. Whole, more than `sinks`. */
  readonly keep: number;
  /** How many of the rows are the first tokens of the text. Whole, at least 0. Default 4. */
  readonly sinks?: number;
}

/**
 * The first and the newest tokens where they were in the text; after every message. This is what KVCache-Factory and
 * kvpress run under the name StreamingLLM; as published, StreamingLLM counts positions in the cache and evicts while it
 * generates: see @ziggurat/streaming.
 */
export function sinksAndRecent(options: SinksAndRecentOptions): Policy {
  checkOptions("sinksAndRecent", options, ["keep", "sinks"]);
  const keep = checkWhole("sinksAndRecent", "keep", options.keep, 1);
  const sinks = checkWhole("sinksAndRecent", "sinks", options.sinks ?? 4, 0);
  if (keep <= sinks) refuse("sinksAndRecent", "keep", keep, `more than sinks, ${sinks}`);
  return {
    name: "sinksAndRecent",
    budget: uniform(keep),
    score: recency,
    protect: anyOf(first(sinks), last(keep - sinks)),
    schedule: afterPrefill(),
  };
}
