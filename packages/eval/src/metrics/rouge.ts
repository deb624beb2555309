import { commonSubsequence, words } from "./text.js";

const sentences = (text: string): string[][] =>
  text
    .split(".")
    .filter((sentence) => sentence.length > 0)
    .map((sentence) => {
      const found = words(sentence);
      // A sentence of white space alone counts as one empty word.
      return found.length > 0 ? found : [""];
    });

/**
 * ROUGE-L of an answer against a reference at the level of summaries, F1 (Lin, 2004), over distinct words, as the
 * Python package `rouge` 1.0.1 computes it: sentences end at full stops, and the words of the union of the longest
 * common subsequences are counted once in the whole text. 0 if either text has no sentence.
 */
export function rougeL(answer: string, reference: string): number {
  const answers = sentences(answer);
  const references = sentences(reference);
  if (answers.length === 0 || references.length === 0) return 0;
  const union = new Set<string>();
  for (const sentence of references) {
    for (const other of answers) for (const at of commonSubsequence(sentence, other)) union.add(sentence[at]!);
  }
  const recall = union.size / new Set(references.flat()).size;
  const precision = union.size / new Set(answers.flat()).size;
  return (2 * precision * recall) / (precision + recall + 1e-8);
}
