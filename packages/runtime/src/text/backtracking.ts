/** Repeats from so many on count as any number. */
const many = 10;

/**
 * Length of the quantifier that the text begins with, and whether it repeats any number of times; undefined where there
 * is none.
 */
function quantifier(text: string): { readonly length: number; readonly isMany: boolean } | undefined {
  if (/^[*+]/.test(text)) return { length: 1, isMany: true };
  const [all, least, comma, most] = /^\{(\d+)(,?)(\d*)\}/.exec(text) ?? [];
  if (all === undefined) return undefined;
  const greatest = comma === "" ? Number(least) : most === "" ? Number.POSITIVE_INFINITY : Number(most);
  return { length: all.length, isMany: greatest >= many };
}

/**
 * Whether a regular expression repeats any number of times what itself repeats any number of times, as `(a+)+` does: on
 * a text that does not match, the engine tries every way to share it out, exponentially many. No tokenizer needs that.
 */
export function repeatsRepeats(source: string): boolean {
  const groups = [{ repeats: false }];
  for (let at = 0; at < source.length; at++) {
    const group = groups.at(-1)!;
    const character = source[at]!;
    if (character === "\\") at += /^\\[pP]\{[^}]*\}/.exec(source.slice(at, at + 64))?.[0].length ?? 2;
    else if (character === "[") {
      for (at++; at < source.length && source[at] !== "]"; at++) if (source[at] === "\\") at++;
      at++;
    } else if (character === "(") {
      groups.push({ repeats: false });
      continue;
    } else at++;
    // What is repeated ends here; `at` is where its quantifier would be.
    const { length, isMany } = quantifier(source.slice(at, at + 24)) ?? { length: 0, isMany: false };
    at += length - 1;
    if (character === ")" && groups.length > 1) {
      const { repeats } = groups.pop()!;
      if (repeats && isMany) return true;
      groups.at(-1)!.repeats ||= repeats || isMany;
    } else group.repeats ||= isMany;
  }
  return false;
}
