import { EvaluationError } from "../error.js";

/**
 * p-values corrected for many comparisons, in the order given: the step-down procedure of Holm (1979). A hypothesis is
 * rejected at a level if its corrected p-value is at most that level.
 */
export function holm(pValues: readonly number[]): number[] {
  const odd = pValues.findIndex((p) => !(p >= 0 && p <= 1));
  if (odd >= 0) throw new EvaluationError(`p-value ${odd} is ${String(pValues[odd])}; it must be a number from 0 to 1`);
  const ascending = pValues.map((p, index) => ({ p, index })).sort((a, b) => a.p - b.p || a.index - b.index);
  const corrected = new Array<number>(pValues.length);
  let most = 0;
  ascending.forEach(({ p, index }, rank) => {
    most = Math.max(most, Math.min(1, p * (pValues.length - rank)));
    corrected[index] = most;
  });
  return corrected;
}
