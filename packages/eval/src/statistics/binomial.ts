import { EvaluationError } from "../error.js";
import type { Interval } from "./bootstrap.js";

/** Steps of bisection: more than a float64 between 0 and 1 has bits. */
const bisections = 80;

/** Natural logarithms of 0! to n!. */
function logFactorials(n: number): Float64Array {
  const logs = new Float64Array(n + 1);
  for (let i = 2; i <= n; i++) logs[i] = logs[i - 1]! + Math.log(i);
  return logs;
}

/**
 * The share of successes with its exact binomial interval (Clopper and Pearson, 1934): the shares under which as many
 * successes or more, and as many or fewer, have a probability of at least half of what the interval leaves out.
 * `successes`: whole, from 0 to `trials`. `trials`: whole, at least 1. `confidence`: above 0 and below 1.
 */
export function binomialInterval(successes: number, trials: number, confidence = 0.95): Interval {
  if (!Number.isSafeInteger(trials) || trials < 1) {
    throw new EvaluationError(`trials is ${String(trials)}; it must be a whole number of at least 1`);
  }
  if (!Number.isSafeInteger(successes) || successes < 0 || successes > trials) {
    throw new EvaluationError(
      `successes is ${String(successes)}; it must be a whole number from 0 to trials, ${trials}`,
    );
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new EvaluationError(`confidence is ${String(confidence)}; it must be a number above 0 and below 1`);
  }
  const tail = (1 - confidence) / 2;
  const logs = logFactorials(trials);
  /** Probability of `from` to `to` successes if each trial succeeds with probability p. */
  const probability = (from: number, to: number, p: number): number => {
    let sum = 0;
    for (let k = from; k <= to; k++) {
      const ways = logs[trials]! - logs[k]! - logs[trials - k]!;
      sum += Math.exp(ways + k * Math.log(p) + (trials - k) * Math.log1p(-p));
    }
    return sum;
  };
  /** The p at which `rising(p)`, which rises with p, reaches the tail. */
  const solve = (rising: (p: number) => boolean): number => {
    let [low, high] = [0, 1];
    for (let step = 0; step < bisections; step++) {
      const middle = (low + high) / 2;
      if (rising(middle)) high = middle;
      else low = middle;
    }
    return (low + high) / 2;
  };
  return {
    estimate: successes / trials,
    low: successes === 0 ? 0 : solve((p) => probability(successes, trials, p) >= tail),
    high: successes === trials ? 1 : solve((p) => probability(0, successes, p) <= tail),
  };
}
