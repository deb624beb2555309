import { lists } from "./lists.js";
import type { Random } from "./random.js";

// Names, keys and values, as Pebble's training drew them (packages/pebble/training/gen.py), from words that it did not
// have there.

export interface Vocabulary {
  /** One of the given words. */
  word(): string;
  /** A word that does not exist. */
  pseudo(): string;
  /** A person. */
  name(): string;
  /** A person, a word, two words, or a coloured animal. */
  anything(): string;
}

/**
 * `taken`: a text whose words are not used as first names, so that a person asked for is not also one in the filler.
 */
export function vocabulary(r: Random, words: readonly string[], taken: string): Vocabulary {
  const seen = new Set(taken.match(/[A-Za-z]+/g));
  const firstNames = lists.FIRST.filter((name) => !seen.has(name));
  const word = () => r.pick(words);
  const pseudo = () => {
    const syllables = Array.from(
      { length: r.whole(2, 3) },
      () => r.pick([..."bcdfghklmnprstvz"]) + r.pick([..."aeiou"]),
    );
    return syllables.join("") + r.pick(["", "n", "r", "s", "l", "x"]);
  };
  const family = () => capital(pseudo());
  const name = () => {
    if (r.chance(0.4)) return `${r.pick(firstNames)} ${family()}`;
    return r.chance(0.5) ? r.pick(firstNames) : family();
  };
  const anything = () => {
    const kind = r.whole(1, 10);
    if (kind <= 3) return name();
    if (kind <= 6) return word();
    return kind <= 8 ? `${word()}-${word()}` : `the ${r.pick(lists.COLORS)} ${r.pick(lists.ANIMALS)}`;
  };
  return { word, pseudo, name, anything };
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A sentence of a pattern: names in braces become words of those lists, N a small number, YEAR a year. */
export const fill = (r: Random, pattern: string): string =>
  capital(
    pattern.replace(/\{(\w+)\}/g, (_, name: string) => {
      if (name === "N") return String(r.whole(2, 99));
      if (name === "YEAR") return String(r.whole(1700, 2020));
      return r.pick(lists[name as keyof typeof lists]);
    }),
  );
