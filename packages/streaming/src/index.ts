import {
  anyOf,
  checkOptions,
  checkWhole,
  first,
  last,
  type Policy,
  recency,
  refuse,
  uniform,
  whenOver,
} from "@ziggurat/policy";

export interface StreamingOptions {
  /**
   * Rows that each layer keeps, the sinks included: `start_size` + `recent_size` of the authors' code. Whole, more than
   * `sinks`.
   */
  readonly keep: number;
  /**
   * Attention sinks: how many of the rows are the first tokens of the text, `start_size`. Whole, at least 0; 0 is a
   * plain window. Default 4, as published.
   */
  readonly sinks?: number;
}

/**
 * StreamingLLM: the first few tokens, which soak up attention that has nowhere else to go, and a window that rolls over
 * the newest. Positions are counted in the cache, so a stream may be longer than the model's context. More `keep`
 * remembers further back; nothing between sinks and window is ever seen again.
 *
 * Xiao et al., 2023, https://arxiv.org/abs/2309.17453. Throws a PolicyError for options out of range.
 */
export function streaming(options: StreamingOptions): Policy {
  checkOptions("streaming", options, ["keep", "sinks"]);
  const keep = checkWhole("streaming", "keep", options.keep, 1);
  const sinks = checkWhole("streaming", "sinks", options.sinks ?? 4, 0);
  if (keep <= sinks) refuse("streaming", "keep", keep, `more than sinks, ${sinks}`);
  return {
    name: "streaming",
    budget: uniform(keep),
    score: recency,
    protect: anyOf(first(sinks), last(keep - sinks)),
    schedule: whenOver(),
    positions: "slot",
  };
}
