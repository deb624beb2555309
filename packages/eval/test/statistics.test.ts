import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EvaluationError } from "../src/error.js";
import { binomialInterval } from "../src/statistics/binomial.js";
import {
  type BootstrapOptions,
  bootstrapDifference,
  bootstrapMean,
  type Interval,
  quantile,
} from "../src/statistics/bootstrap.js";
import { holm } from "../src/statistics/holm.js";
import { signFlipTest } from "../src/statistics/permutation.js";
import { seededRandom } from "../src/statistics/random.js";

interface Fixtures {
  readonly bootstrap: readonly { values: number[]; options: BootstrapOptions; expected: number[] }[];
  readonly difference: readonly { a: number[]; b: number[]; options: BootstrapOptions; expected: number[] }[];
  readonly binomial: readonly { successes: number; trials: number; confidence: number; expected: number[] }[];
  readonly holm: readonly { p: number[]; expected: number[] }[];
  readonly signFlip: readonly { a: number[]; b: number[]; expected: number }[];
}
const fixtures: Fixtures = JSON.parse(readFileSync(new URL("fixtures/statistics.json", import.meta.url), "utf8"));
const numbers = ({ estimate, low, high }: Interval) => [estimate, low, high];
const close = (found: readonly number[], expected: readonly number[]) => {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, index) => expect(Math.abs(value - expected[index]!), `number ${index}`).toBeLessThan(1e-9));
};

describe("agreement with scipy and statsmodels", () => {
  test.each(fixtures.bootstrap)("bootstrap of a mean, case %#", ({ values, options, expected }) => {
    close(numbers(bootstrapMean(values, options)), expected);
  });

  test.each(fixtures.difference)("bootstrap of a paired difference, case %#", ({ a, b, options, expected }) => {
    close(numbers(bootstrapDifference(a, b, options)), expected);
  });

  test.each(fixtures.binomial)("Clopper-Pearson interval, case %#", ({ successes, trials, confidence, expected }) => {
    close(numbers(binomialInterval(successes, trials, confidence)), expected);
  });

  test.each(fixtures.holm)("Holm correction, case %#", ({ p, expected }) => close(holm(p), expected));

  test.each(fixtures.signFlip)("exact sign-flip test, case %#", ({ a, b, expected }) => {
    close([signFlipTest(a, b)], [expected]);
  });
});

test("a sign-flip test of many differences approaches the normal limit and is never 0", () => {
  const random = seededRandom(5);
  const a = Array.from({ length: 400 }, () => random() - 0.5);
  const zeros = a.map(() => 0);
  const z = Math.abs(a.reduce((sum, x) => sum + x, 0)) / Math.sqrt(a.reduce((sum, x) => sum + x * x, 0));
  // Two-sided tail of the normal distribution by its continued fraction is close to 2 x (1 - Phi(z)).
  const p = signFlipTest(a, zeros, { resamples: 20_000, seed: 1 });
  const tail = 2 * (1 - phi(z));
  expect(Math.abs(p - tail)).toBeLessThan(0.02);
  expect(
    signFlipTest(
      a.map(() => 1),
      zeros,
    ),
  ).toBe(1 / 10_001);
});

/** The normal distribution function (Abramowitz and Stegun, 1964, 26.2.17; error below 1e-7). */
function phi(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const sum = series.reduceRight((total, b) => (total + b) * t, 0);
  return 1 - (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * sum;
}

test("a sign-flip test of equal values is 1", () => {
  expect(signFlipTest([1, 2, 3], [1, 2, 3])).toBe(1);
});

test("quantiles interpolate between neighbours", () => {
  expect(quantile([1, 2, 4], 0)).toBe(1);
  expect(quantile([1, 2, 4], 0.5)).toBe(2);
  expect(quantile([1, 2, 4], 0.75)).toBe(3);
  expect(quantile([1, 2, 4], 1)).toBe(4);
});

test("the same seed gives the same interval, another seed another", () => {
  const values = [0, 1, 1, 0, 1, 0, 0, 1, 1, 1];
  expect(bootstrapMean(values, { seed: 1 })).toEqual(bootstrapMean(values, { seed: 1 }));
  const means = (seed: number) =>
    bootstrapMean(
      values.map((x, i) => x + i / 7),
      { resamples: 50, seed },
    );
  expect(means(1)).not.toEqual(means(2));
});

describe("what is refused", () => {
  test.each([
    ["no values", () => bootstrapMean([]), "there are no values; an interval needs at least one"],
    ["NaN", () => bootstrapMean([1, Number.NaN]), "value 1 is NaN; it must be a finite number"],
    [
      "no resamples",
      () => bootstrapMean([1], { resamples: 0 }),
      "resamples is 0; it must be a whole number of at least 1",
    ],
    [
      "a sure interval",
      () => bootstrapMean([1], { confidence: 1 }),
      "confidence is 1; it must be a number above 0 and below 1",
    ],
    [
      "unpaired values",
      () => bootstrapDifference([1], [1, 2]),
      "there are 1 and 2 values; paired values must be as many on both sides",
    ],
    [
      "more successes than trials",
      () => binomialInterval(3, 2),
      "successes is 3; it must be a whole number from 0 to trials, 2",
    ],
    ["no trials", () => binomialInterval(0, 0), "trials is 0; it must be a whole number of at least 1"],
    ["p above 1", () => holm([0.1, 1.5]), "p-value 1 is 1.5; it must be a number from 0 to 1"],
    [
      "unpaired signs",
      () => signFlipTest([1], []),
      "there are 1 and 0 values; paired values must be as many on both sides",
    ],
    [
      "infinite differences",
      () => signFlipTest([Infinity], [0]),
      "a value is not a finite number; differences need finite values",
    ],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(new EvaluationError(message));
  });
});
