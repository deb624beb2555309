import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EvaluationError } from "../src/error.js";
import {
  classification,
  codeSimilarity,
  count,
  longbenchDatasets,
  longbenchScore,
  questionAnsweringF1,
  retrieval,
} from "../src/metrics/longbench.js";
import { rougeL } from "../src/metrics/rouge.js";
import { matchAll, matchPart } from "../src/metrics/ruler.js";

interface Case {
  readonly metric: keyof typeof metrics;
  readonly answer: string;
  readonly reference: string & readonly string[];
  readonly classes?: readonly string[];
  readonly expected: number;
}

const metrics = {
  qa: questionAnsweringF1,
  rouge: rougeL,
  count,
  retrieval,
  code: codeSimilarity,
  classification: (answer: string, reference: string, classes: readonly string[] = []) =>
    classification(answer, reference, classes),
  matchAll,
  matchPart,
};
const cases: readonly Case[] = JSON.parse(readFileSync(new URL("fixtures/metrics.json", import.meta.url), "utf8"));

describe.each(Object.keys(metrics) as (keyof typeof metrics)[])(
  "%s agrees with the reference implementation",
  (name) => {
    const own = cases.filter(({ metric }) => metric === name);

    test(`in ${own.length} cases, of which some are between 0 and 1 or both ends occur`, () => {
      expect(own.length).toBe(60);
      for (const { answer, reference, classes, expected } of own) {
        const found = metrics[name](answer, reference, classes);
        expect(
          Math.abs(found - expected),
          JSON.stringify({ answer, reference, classes, found, expected }),
        ).toBeLessThan(1e-9);
      }
      expect(new Set(own.map(({ expected }) => expected)).size).toBeGreaterThan(1);
    });
  },
);

test("the best reference counts, and for some datasets the first line alone", () => {
  expect(longbenchScore("hotpotqa", "blue whale", ["red", "the blue whale"])).toBe(1);
  expect(longbenchScore("triviaqa", "\nParis\nLondon", ["London"])).toBe(0);
  expect(longbenchScore("triviaqa_e", "\nParis\nLondon", ["paris"])).toBe(1);
  expect(longbenchScore("trec", "City\nOther", ["City"], ["City", "Other"])).toBe(1);
  expect(longbenchDatasets).toHaveLength(16);
});

test("an unknown dataset and a reference without a paragraph are refused", () => {
  expect(() => longbenchScore("lsht", "x", ["x"])).toThrow(EvaluationError);
  expect(() => longbenchScore("lsht", "x", ["x"])).toThrow(/"lsht"/);
  expect(() => retrieval("7", "seven")).toThrow(
    new EvaluationError('the reference "seven" names no paragraph; it must hold "Paragraph N"'),
  );
});
