import { EvaluationError } from "../error.js";
import { rougeL } from "./rouge.js";
import { commonSubsequence, normalisedAnswer, roundHalfEven, words } from "./text.js";

// The metrics of LongBench (Bai et al., 2023, arXiv 2308.14508), from 0 to 1 for one answer and one reference.

/** F1 over words, each as often as it occurs, after {@link normalisedAnswer}. 0 if no word is common. */
export function questionAnsweringF1(answer: string, reference: string): number {
  const given = words(normalisedAnswer(answer));
  const right = words(normalisedAnswer(reference));
  const left = new Map<string, number>();
  for (const word of right) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count > 0) common++;
    left.set(word, count - 1);
  }
  if (common === 0) return 0;
  const precision = common / given.length;
  const recall = common / right.length;
  return (2 * precision * recall) / (precision + recall);
}

/**
 * 1 over the number of classes that the answer names, if the reference is among them; otherwise 0. Classes that are
 *   part
 * of the reference's name are taken out first; as published, the class after one that was taken out is passed over.
 */
export function classification(answer: string, reference: string, classes: readonly string[]): number {
  const named = classes.filter((name) => answer.includes(name));
  for (let at = 0; at < named.length; at++) {
    if (reference.includes(named[at]!) && named[at] !== reference) named.splice(named.indexOf(named[at]!), 1);
  }
  return named.includes(reference) ? 1 / named.length : 0;
}

/** The share of the numbers in the answer that equal `right`; 0 if the answer holds no number. */
function shareOfNumbers(answer: string, right: string): number {
  const numbers = answer.match(/\p{Nd}+/gu) ?? [];
  return numbers.length === 0 ? 0 : numbers.filter((number) => number === right).length / numbers.length;
}

/** The share of the numbers in the answer that are the reference. */
export const count = (answer: string, reference: string): number => shareOfNumbers(answer, reference);

/** The share of the numbers in the answer that are the paragraph's which the reference names: "Paragraph 12". */
export function retrieval(answer: string, reference: string): number {
  const paragraph = /Paragraph (\p{Nd}+)/u.exec(reference)?.[1];
  if (paragraph === undefined) {
    throw new EvaluationError(
      `the reference ${JSON.stringify(reference)} names no paragraph; it must hold "Paragraph N"`,
    );
  }
  return shareOfNumbers(answer, paragraph);
}

/**
 * How alike the answer's first line of code and the reference are, to two digits: twice the longest common subsequence
 * over the characters of both (the ratio of `fuzzywuzzy` over `python-Levenshtein`). Lines with a back quote, # or //
 * are passed over.
 */
export function codeSimilarity(answer: string, reference: string): number {
  const lines = answer.replace(/^\n+/, "").split("\n");
  const line = lines.find((text) => !text.includes("`") && !text.includes("#") && !text.includes("//")) ?? "";
  const [a, b] = [[...line], [...reference]];
  if (a.length === 0 || b.length === 0) return 0;
  return roundHalfEven((100 * 2 * commonSubsequence(a, b).length) / (a.length + b.length)) / 100;
}

type Metric = (answer: string, reference: string, classes: readonly string[]) => number;

/** LongBench's English and code datasets: the metric, and whether the first line of the answer alone counts. */
const datasets: Readonly<Record<string, readonly [metric: Metric, firstLine?: true]>> = {
  narrativeqa: [questionAnsweringF1],
  qasper: [questionAnsweringF1],
  multifieldqa_en: [questionAnsweringF1],
  hotpotqa: [questionAnsweringF1],
  "2wikimqa": [questionAnsweringF1],
  musique: [questionAnsweringF1],
  gov_report: [rougeL],
  qmsum: [rougeL],
  multi_news: [rougeL],
  trec: [classification, true],
  triviaqa: [questionAnsweringF1, true],
  samsum: [rougeL, true],
  passage_retrieval_en: [retrieval],
  passage_count: [count],
  lcc: [codeSimilarity],
  "repobench-p": [codeSimilarity],
};

export const longbenchDatasets: readonly string[] = Object.keys(datasets);

/**
 * The score of an answer to an item of a LongBench dataset, from 0 to 1: the best over the references. `dataset`: its
 * name in LongBench, `_e` variants included. Throws an `EvaluationError` for datasets in Chinese, whose metrics need a
 * word segmenter, and for unknown ones.
 */
export function longbenchScore(
  dataset: string,
  answer: string,
  references: readonly string[],
  classes: readonly string[] = [],
): number {
  const found = datasets[dataset.replace(/_e$/, "")];
  if (!found) {
    throw new EvaluationError(
      `no metric for LongBench dataset ${JSON.stringify(dataset)}; there are ${longbenchDatasets.join(", ")} ` +
        "(those in Chinese need a word segmenter)",
    );
  }
  const [metric, firstLine] = found;
  const text = firstLine ? answer.replace(/^\n+/, "").split("\n")[0]! : answer;
  return references.reduce((best, reference) => Math.max(best, metric(text, reference, classes)), 0);
}
