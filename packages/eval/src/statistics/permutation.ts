import { EvaluationError } from "../error.js";
import { seededRandom } from "./random.js";

/** Up to this many differences that are not 0, every assignment of signs is counted; beyond, signs are drawn. */
const mostExact = 16;

export interface PermutationOptions {
  /** Draws if the differences are too many to count every assignment of signs. Default 10,000. */
  readonly resamples?: number;
  /** The same seed gives the same p-value. Default 0. */
  readonly seed?: number;
}

/**
 * The two-sided p-value of a paired sign-flip test: how often a mean difference at least as far from 0 arises if each
 * item's difference is equally likely to have either sign (Fisher, 1935). Exact for up to 16 differences that are not
 * 0; beyond, drawn signs are counted together with the observed ones (Phipson and Smyth, 2010), so the p-value is never
 * 0.
 */
export function signFlipTest(
  a: readonly number[],
  b: readonly number[],
  { resamples = 10_000, seed = 0 }: PermutationOptions = {},
): number {
  if (a.length !== b.length) {
    throw new EvaluationError(
      `there are ${a.length} and ${b.length} values; paired values must be as many on both sides`,
    );
  }
  const differences = a.map((value, item) => value - b[item]!).filter((difference) => difference !== 0);
  if (differences.some((difference) => !Number.isFinite(difference))) {
    throw new EvaluationError("a value is not a finite number; differences need finite values");
  }
  if (differences.length === 0) return 1;
  const observed = Math.abs(differences.reduce((sum, x) => sum + x, 0));
  // Sums in another order may differ in their last bits from the observed one.
  const atLeast = observed * (1 - 1e-12);
  if (differences.length <= mostExact) {
    const assignments = 2 ** differences.length;
    let extreme = 0;
    for (let signs = 0; signs < assignments; signs++) {
      const sum = differences.reduce((total, x, bit) => total + ((signs >> bit) & 1 ? x : -x), 0);
      if (Math.abs(sum) >= atLeast) extreme++;
    }
    return extreme / assignments;
  }
  const random = seededRandom(seed);
  let extreme = 1;
  for (let resample = 0; resample < resamples; resample++) {
    const sum = differences.reduce((total, x) => total + (random() < 0.5 ? x : -x), 0);
    if (Math.abs(sum) >= atLeast) extreme++;
  }
  return extreme / (resamples + 1);
}
