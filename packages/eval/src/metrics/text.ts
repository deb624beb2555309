/** Words between white space; none in an empty text. */
export const words = (text: string): string[] => text.split(/\s+/u).filter((word) => word !== "");

/**
 * A text as question-answering metrics compare it: lower case, without ASCII punctuation, without English articles,
 * white space made single spaces (Rajpurkar et al., 2016, arXiv 1606.05250, evaluation script).
 */
export function normalisedAnswer(text: string): string {
  const bare = text.toLowerCase().replace(/[!-/:-@[-`{-~]/g, "");
  return words(bare.replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, " ")).join(" ");
}

/**
 * The longest common subsequence of two lists, as indices into `a`, ascending. When several are longest, an element of
 * `a` is passed over only if that keeps more than passing over one of `b`.
 */
export function commonSubsequence<T>(a: readonly T[], b: readonly T[]): number[] {
  const width = b.length + 1;
  const lengths = new Int32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const skipped = Math.max(lengths[(i - 1) * width + j]!, lengths[i * width + j - 1]!);
      lengths[i * width + j] = a[i - 1] === b[j - 1] ? lengths[(i - 1) * width + j - 1]! + 1 : skipped;
    }
  }
  const found: number[] = [];
  let [i, j] = [a.length, b.length];
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      found.push(i - 1);
      i--;
      j--;
    } else if (lengths[(i - 1) * width + j]! > lengths[i * width + j - 1]!) i--;
    else j--;
  }
  return found.reverse();
}

/** Rounds to the nearest whole number, a half to the even one, as Python's `round` does. */
export function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}
