interface Node {
  readonly next: Map<number, Node>;
  /** Which text ends here; -1 for none. */
  entry: number;
}

/** Characters between two pauses. */
const stretch = 1 << 15;

/** Many texts that are looked for at once. Of two equal ones the first counts. */
export class TokenTrie {
  readonly #root: Node = { next: new Map(), entry: -1 };

  constructor(texts: readonly string[]) {
    for (const [entry, text] of texts.entries()) {
      let node = this.#root;
      for (let at = 0; at < text.length; at++) {
        let next = node.next.get(text.charCodeAt(at));
        if (!next) {
          next = { next: new Map(), entry: -1 };
          node.next.set(text.charCodeAt(at), next);
        }
        node = next;
      }
      if (node !== this.#root && node.entry < 0) node.entry = entry;
    }
  }

  /** The longest text that stands at a place; undefined for none. */
  longestAt(text: string, at: number): { readonly length: number; readonly entry: number } | undefined {
    let node: Node | undefined = this.#root;
    let found: { length: number; entry: number } | undefined;
    for (let end = at; end < text.length; ) {
      node = node.next.get(text.charCodeAt(end++));
      if (!node) break;
      if (node.entry >= 0) found = { length: end - at, entry: node.entry };
    }
    return found;
  }

  /** Places of texts that do not overlap, the leftmost first, the longest of those that begin together. */
  *find(text: string): Generator<void, { readonly at: number; readonly length: number; readonly entry: number }[]> {
    const found = [];
    let pause = stretch;
    for (let at = 0; at < text.length; ) {
      const match = this.#root.next.has(text.charCodeAt(at)) ? this.longestAt(text, at) : undefined;
      if (match) found.push({ at, ...match });
      at += match?.length ?? 1;
      if (at >= pause) {
        yield;
        pause = at + stretch;
      }
    }
    return found;
  }
}
