import { TokenTrie } from "./tokenizers/token-trie.js";

/** Puts marks into texts so that none of them, alone or with what stands beside it, holds a special token. */
export interface Quoter {
  /** A text with `mark` in every special token that it holds, and where it could make one with its neighbours. */
  quote(text: string, mark: string): string;
}

/** Makes a {@link Quoter} against special tokens. */
export function quoterOf(specials: readonly string[]): Quoter {
  const trie = new TokenTrie(specials);
  const byLength = specials.reduce((most, { length }) => Math.max(most, length), 0);
  /** Beginnings and ends of special tokens that are not the whole. */
  const beginnings = new Set<string>();
  const endings = new Set<string>();
  for (const special of specials) {
    for (let length = 1; length < special.length; length++) {
      beginnings.add(special.slice(0, length));
      endings.add(special.slice(-length));
    }
  }
  /** Whether a text begins with one of `parts`, or ends with one. */
  const touches = (text: string, parts: ReadonlySet<string>, isEnd: boolean): boolean => {
    for (let length = 1; length < byLength && length <= text.length; length++)
      if (parts.has(isEnd ? text.slice(-length) : text.slice(0, length))) return true;
    return false;
  };
  return {
    quote(text, mark) {
      if (byLength === 0) return text;
      const parts: string[] = [];
      let end = 0;
      for (let at = 0; at < text.length; at++) {
        const found = trie.longestAt(text, at);
        if (!found) continue;
        // A mark behind the first character parts every special token that begins here.
        if (found.length === 1) parts.push(text.slice(end, at), mark, text[at]!, mark);
        else parts.push(text.slice(end, at + 1), mark);
        end = at + 1;
      }
      const broken = parts.join("") + text.slice(end);
      // Where a text has white space around it, the marks are within, so that a template may trim.
      const inner = broken.trim();
      if (inner === "") return broken;
      const start = touches(inner, endings, false) ? mark : "";
      const stop = touches(inner, beginnings, true) ? mark : "";
      const at = broken.indexOf(inner);
      return broken.slice(0, at) + start + inner + stop + broken.slice(at + inner.length);
    },
  };
}
