import { EvaluationError } from "../error.js";
import { seededRandom } from "./random.js";

/** An estimate with its confidence interval. */
export interface Interval {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** Resamples. At least 1. Default 10,000. */
  readonly resamples?: number;
  /** Probability that the interval covers. Above 0 and below 1. Default 0.95. */
  readonly confidence?: number;
  /** The same seed gives the same interval. Default 0. */
  readonly seed?: number;
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/**
 * The quantile of ascending values, interpolated linearly between neighbours (Hyndman and Fan, 1996, type 7; numpy's
 * default). `share`: from 0 to 1.
 */
export function quantile(ascending: ArrayLike<number>, share: number): number {
  const at = share * (ascending.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, ascending.length - 1);
  return ascending[below]! + (at - below) * (ascending[above]! - ascending[below]!);
}

function check(values: readonly number[], { resamples = 10_000, confidence = 0.95 }: BootstrapOptions): void {
  if (values.length === 0) throw new EvaluationError("there are no values; an interval needs at least one");
  const odd = values.findIndex((value) => !Number.isFinite(value));
  if (odd >= 0) throw new EvaluationError(`value ${odd} is ${String(values[odd])}; it must be a finite number`);
  if (!Number.isSafeInteger(resamples) || resamples < 1) {
    throw new EvaluationError(`resamples is ${String(resamples)}; it must be a whole number of at least 1`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new EvaluationError(`confidence is ${String(confidence)}; it must be a number above 0 and below 1`);
  }
}

/** Means of `resamples` draws of as many values, with replacement, ascending. */
function resampledMeans(values: readonly number[], resamples: number, random: () => number): Float64Array {
  const means = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    let sum = 0;
    for (let draw = 0; draw < values.length; draw++) sum += values[Math.floor(random() * values.length)]!;
    means[resample] = sum / values.length;
  }
  return means.sort();
}

/**
 * The mean of values with its percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13). Throws an
 * `EvaluationError` if there are no values, or one is not finite.
 */
export function bootstrapMean(values: readonly number[], options: BootstrapOptions = {}): Interval {
  check(values, options);
  const { resamples = 10_000, confidence = 0.95, seed = 0 } = options;
  const means = resampledMeans(values, resamples, seededRandom(seed));
  const tail = (1 - confidence) / 2;
  return { estimate: mean(values), low: quantile(means, tail), high: quantile(means, 1 - tail) };
}

/**
 * The mean difference `a[i] - b[i]` of paired values with its bootstrap interval: items are drawn, and both values of
 * an item stay together. Throws an `EvaluationError` if the numbers of values differ.
 */
export function bootstrapDifference(
  a: readonly number[],
  b: readonly number[],
  options: BootstrapOptions = {},
): Interval {
  if (a.length !== b.length) {
    throw new EvaluationError(
      `there are ${a.length} and ${b.length} values; paired values must be as many on both sides`,
    );
  }
  return bootstrapMean(
    a.map((value, item) => value - b[item]!),
    options,
  );
}
