import { uniform } from "./budgets.js";
import { computed, type OptionsOf, options, whole } from "./options.js";
import type { Policy } from "./policy.js";
import { anyOf, first, last, none } from "./protections.js";
import { afterPrefill, never } from "./schedules.js";
import { randomScore, recency } from "./scorers.js";

// Policies to compare others with. `random` and `sinksAndRecent` evict at the same moment as SnapKV, so that only the
// choice of rows differs.

/** Keeps every row. */
export const full = (): Policy => ({
  name: "full",
  budget: ({ layers, seen }) => layers.map(() => Math.max(1, seen)),
  score: recency,
  protect: none,
  schedule: never(),
});

/** The options of {@link random}, declared. */
export const randomOptions = options("random", {
  /** Rows that each layer keeps, newest included. */
  keep: whole({ min: 1, atLeast: "recent", doc: "rows that each layer keeps, newest included" }),
  /** Seed of the draw: another seed, other rows. From 0 to 2147483647. Default 0. */
  seed: whole({ min: 0, default: 0, doc: "seed of the draw" }),
  /** Newest rows that stay. Default: 32, SnapKV's window, or half of `keep` if that is less. */
  recent: whole({
    min: 0,
    default: computed("keep", (keep) => Math.min(32, Math.floor(keep / 2)), "32, or half of `keep` if less"),
    doc: "newest rows that stay",
  }),
});

export type RandomOptions = OptionsOf<typeof randomOptions>;

/** Rows drawn at random, another draw for every layer and head, beside the newest; after every message. */
export function random(options: RandomOptions): Policy {
  const { keep, seed, recent } = randomOptions.read(options);
  return {
    name: "random",
    budget: uniform(keep),
    score: randomScore(seed),
    protect: last(recent),
    schedule: afterPrefill(),
  };
}

/** The options of {@link sinksAndRecent}, declared. */
export const sinksAndRecentOptions = options("sinksAndRecent", {
  /** Rows that each layer keeps, sinks included. More than `sinks`. */
  keep: whole({ min: 1, moreThan: "sinks", doc: "rows that each layer keeps, sinks included" }),
  /** First tokens of the text that stay. Default 4. */
  sinks: whole({ min: 0, default: 4, doc: "first tokens of the text that stay" }),
});

export type SinksAndRecentOptions = OptionsOf<typeof sinksAndRecentOptions>;

/**
 * The first and the newest tokens at their positions in the text; evicts after every message. KVCache-Factory and
 * kvpress run this under the name StreamingLLM. As published, StreamingLLM counts positions in the cache and evicts
 * while it generates: see @ziggurat/streaming.
 */
export function sinksAndRecent(options: SinksAndRecentOptions): Policy {
  const { keep, sinks } = sinksAndRecentOptions.read(options);
  return {
    name: "sinksAndRecent",
    budget: uniform(keep),
    score: recency,
    protect: anyOf(first(sinks), last(keep - sinks)),
    schedule: afterPrefill(),
  };
}
