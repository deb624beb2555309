import {
  anyOf,
  first,
  last,
  type OptionsOf,
  options,
  type Policy,
  recency,
  uniform,
  whenOver,
  whole,
} from "@ziggurat/policy";

/** The options of {@link streaming}, declared. */
export const streamingOptions = options("streaming", {
  /**
   * Rows that each layer keeps, sinks included: `start_size` + `recent_size` of the authors' code. More than `sinks`.
   */
  keep: whole({ min: 1, moreThan: "sinks", doc: "rows that each layer keeps, sinks included" }),
  /**
   * First tokens of the text that stay, attention sinks: `start_size`. 0 is a plain window. Default 4, as published.
   */
  sinks: whole({ min: 0, default: 4, doc: "first tokens of the text that stay" }),
});

export type StreamingOptions = OptionsOf<typeof streamingOptions>;

/**
 * StreamingLLM: the first few tokens, which soak up attention that has nowhere else to go, and a window that rolls over
 * the newest. Positions are counted in the cache, so a stream may be longer than the model's context. A larger `keep`
 * remembers further back; a row between sinks and window is gone.
 *
 * Xiao et al., 2023, https://arxiv.org/abs/2309.17453. Throws a PolicyError for options out of range.
 */
export function streaming(options: StreamingOptions): Policy {
  const { keep, sinks } = streamingOptions.read(options);
  return {
    name: "streaming",
    budget: uniform(keep),
    score: recency,
    protect: anyOf(first(sinks), last(keep - sinks)),
    schedule: whenOver(),
    positions: "slot",
  };
}
