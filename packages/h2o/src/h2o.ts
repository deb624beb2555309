import {
  checkOneOf,
  checkOptions,
  checkWhole,
  type GroupReduction,
  groupReductions,
  last,
  type Policy,
  refuse,
  uniform,
  whenOver,
} from "@ziggurat/policy";
import { heavyHitters } from "./heavy-hitters.js";

export interface H2OOptions {
  /**
   * Rows that each layer keeps, heavy hitters and newest: `hh_size` + `recent_size` of the authors' code. Whole, at
   * least 1.
   */
  readonly keep: number;
  /** How many of the rows are the newest tokens, `recent_size`. From 0 to `keep`. Default: half, as published. */
  readonly recent?: number;
  /**
   * How the query heads that share a KV head are reduced to one score; the authors' code has no shared heads. Default
   * "mean".
   */
  readonly reduce?: GroupReduction;
}

/**
 * H2O, the heavy-hitter oracle: the rows that have received most attention so far, and the newest. Evicts after every
 * message and every generated token that leaves a layer over its budget; a row that was evicted never returns. More
 * `recent` leaves fewer rows for heavy hitters.
 *
 * Zhang et al., 2023, https://arxiv.org/abs/2306.14048. Throws a PolicyError for options out of range.
 */
export function h2o(options: H2OOptions): Policy {
  checkOptions("h2o", options, ["keep", "recent", "reduce"]);
  const keep = checkWhole("h2o", "keep", options.keep, 1);
  const recent = checkWhole("h2o", "recent", options.recent ?? Math.floor(keep / 2), 0);
  const reduce = checkOneOf("h2o", "reduce", options.reduce ?? "mean", groupReductions);
  if (keep < recent) refuse("h2o", "keep", keep, `at least recent, ${recent}`);
  return {
    name: "h2o",
    budget: uniform(keep),
    score: heavyHitters(reduce),
    protect: last(recent),
    schedule: whenOver(),
  };
}
