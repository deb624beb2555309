// The metrics of RULER (Hsieh et al., 2024, arXiv 2404.06654), from 0 to 1 for one answer.

/** An answer as RULER reads it: control characters are line ends, and white space around it is left out. */
const read = (answer: string): string =>
  answer
    .trim()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
    .replace(/[\x00-\x1f]/g, "\n")
    .trim()
    .toLowerCase();

/** The share of the references that the answer contains, in any case: needles, variable tracking, word counts. */
export function matchAll(answer: string, references: readonly string[]): number {
  const text = read(answer);
  return references.filter((reference) => text.includes(reference.toLowerCase())).length / references.length;
}

/** 1 if the answer contains one of the references, in any case; otherwise 0: question answering. */
export function matchPart(answer: string, references: readonly string[]): number {
  const text = read(answer);
  return references.some((reference) => text.includes(reference.toLowerCase())) ? 1 : 0;
}
