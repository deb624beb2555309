import { show } from "../../error.js";
import {
  anyOf,
  bracketClass,
  type CharacterSet,
  everything,
  fold,
  literal,
  named,
  not,
  property,
  range,
} from "./sets.js";

// The regular expressions of tokenizer.json are those of Oniguruma in Ruby's syntax, as the reference library uses it.
// What this cannot match in linear time, or Oniguruma reads in another way, is refused.

/** A regular expression as a tree. A look holds if `node` matches from here on, or up to here. */
export type Node =
  | { readonly type: "set"; readonly set: CharacterSet }
  | { readonly type: "sequence" | "choice"; readonly nodes: readonly Node[] }
  | {
      readonly type: "repeat";
      readonly node: Node;
      readonly least: number;
      readonly most: number;
      readonly isLazy: boolean;
    }
  | { readonly type: "look"; readonly node: Node; readonly isBehind: boolean; readonly isNegative: boolean };

/** A pattern that cannot be used; the message says what in it. */
export class PatternError extends Error {}

const empty: Node = { type: "sequence", nodes: [] };
const sequence = (nodes: readonly Node[]): Node => (nodes.length === 1 ? nodes[0]! : { type: "sequence", nodes });
const of = (set: CharacterSet): Node => ({ type: "set", set });
const look = (node: Node, isBehind: boolean, isNegative: boolean): Node => ({
  type: "look",
  node,
  isBehind,
  isNegative,
});

const newline = literal("\n");
const word = named("word");
const boundary: Node = {
  type: "choice",
  nodes: [
    sequence([look(of(word), true, false), look(of(word), false, true)]),
    sequence([look(of(word), true, true), look(of(word), false, false)]),
  ],
};
const notBoundary: Node = {
  type: "choice",
  nodes: [
    sequence([look(of(word), true, false), look(of(word), false, false)]),
    sequence([look(of(word), true, true), look(of(word), false, true)]),
  ],
};
const anchors: Readonly<Record<string, Node>> = {
  // A line feed at the very end begins no line.
  "^": {
    type: "choice",
    nodes: [
      look(of(everything), true, true),
      sequence([look(of(newline), true, false), look(of(everything), false, false)]),
    ],
  },
  $: look(of(not(newline)), false, true),
  A: look(of(everything), true, true),
  z: look(of(everything), false, true),
  Z: look(
    sequence([
      { type: "repeat", node: of(newline), least: 0, most: 1, isLazy: false },
      look(of(everything), false, true),
    ]),
    false,
    false,
  ),
  b: boundary,
  B: notBoundary,
};

/** Letters that together are one character when case is ignored, such as "ss" in "ß". */
const foldsTogether = /ss|st|ff|fi|fl|ʼn|ǰ|i̇/i;

/** Groups within groups. */
const deepest = 100;

/** Whether a node may match no character. */
function isNullable(node: Node): boolean {
  switch (node.type) {
    case "set":
      return false;
    case "look":
      return true;
    case "sequence":
      return node.nodes.every(isNullable);
    case "choice":
      return node.nodes.some(isNullable);
    case "repeat":
      return node.least === 0 || isNullable(node.node);
  }
}

/** Throws a {@link PatternError}. */
export function parse(source: string): Node {
  const characters = [...source];
  let at = 0;
  let depth = 0;
  const refuse = (what: string): never => {
    throw new PatternError(`${what} at ${at}`);
  };
  const take = (text: string): boolean => {
    const isNext = characters.slice(at, at + text.length).join("") === text;
    if (isNext) at += text.length;
    return isNext;
  };

  function choice(ignoreCase: boolean): Node {
    if (++depth > deepest) refuse("groups are nested too deep");
    const nodes = [branch(ignoreCase)];
    while (take("|")) nodes.push(branch(ignoreCase));
    depth--;
    return nodes.length === 1 ? nodes[0]! : { type: "choice", nodes };
  }

  function branch(given: boolean): Node {
    let ignoreCase = given;
    const nodes: Node[] = [];
    let letters = "";
    while (at < characters.length && characters[at] !== "|" && characters[at] !== ")") {
      const flags = /^\(\?(i?)(?:-(i?))?\)/.exec(characters.slice(at, at + 6).join(""));
      if (flags) {
        // An option holds to the end of its group, further alternatives included.
        at += flags[0].length;
        if (flags[1]) ignoreCase = true;
        if (flags[2]) ignoreCase = false;
        return sequence([...nodes, choice(ignoreCase)]);
      }
      const begin = at;
      const node = atom(ignoreCase);
      letters += /^[^\\[(.]$/u.test(characters.slice(begin, at).join("")) ? characters[begin] : "\0";
      nodes.push(quantified(node));
    }
    if (ignoreCase && foldsTogether.test(letters)) refuse(`${show(letters)} without regard to case`);
    return sequence(nodes);
  }

  function quantified(given: Node): Node {
    let node = given;
    while (at < characters.length) {
      const [all, first, comma, second] = /^\{(\d*)(,?)(\d*)\}/.exec(characters.slice(at, at + 16).join("")) ?? [];
      if (all !== undefined && (first !== "" || second !== "")) {
        at += all.length;
        const least = Number(first);
        const most = comma === "" ? least : second === "" ? Number.POSITIVE_INFINITY : Number(second);
        if (least > most) refuse("a repetition has its ends turned round");
        if (comma === "" && characters[at] === "?") refuse("a lazy repetition of a fixed count");
        node = repeat(node, { least, most });
      } else if (characters[at] === "*" || characters[at] === "+" || characters[at] === "?") {
        const sign = characters[at++];
        const bounds = { least: sign === "+" ? 1 : 0, most: sign === "?" ? 1 : Number.POSITIVE_INFINITY };
        node = take("+") ? possessive(node, bounds) : repeat(node, bounds);
      } else break;
    }
    return node;
  }

  function repeat(node: Node, { least, most }: { least: number; most: number }): Node {
    if (most > 1 && isNullable(node)) refuse("a repetition of what may be empty");
    return { type: "repeat", node, least, most, isLazy: take("?") };
  }

  /** A repetition that is never given up again: of single characters, it ends where none follows. */
  function possessive(node: Node, { least, most }: { least: number; most: number }): Node {
    if (node.type !== "set") return refuse("a possessive repetition of more than one character");
    const end = look(node, false, true);
    if (most === 1) return { type: "choice", nodes: [node, end] };
    return sequence([{ type: "repeat", node, least, most, isLazy: false }, end]);
  }

  function atom(ignoreCase: boolean): Node {
    const character = characters[at++]!;
    if (character === "(") return group(ignoreCase);
    if (character === "[") return of(set(ignoreCase));
    if (character === ".") return of(not(newline));
    if (character === "^" || character === "$") return anchors[character]!;
    if (character === "*" || character === "+" || character === "?") return refuse("a repetition of nothing");
    if (character !== "\\") return of(caseOf(character, ignoreCase));
    const next = characters[at]!;
    if (Object.hasOwn(anchors, next) && /[AzZbB]/.test(next)) {
      at++;
      return anchors[next]!;
    }
    if (next === "R") {
      at++;
      const line = of(anyOf([range(10, 13), range(0x85, 0x85), range(0x2028, 0x2029)]));
      return { type: "choice", nodes: [sequence([of(literal("\r")), of(newline)]), line] };
    }
    return of(escaped(ignoreCase, false));
  }

  function group(ignoreCase: boolean): Node {
    const close = (node: Node): Node => (take(")") ? node : refuse("a group is not closed"));
    if (!take("?")) return close(choice(ignoreCase));
    if (take(":")) return close(choice(ignoreCase));
    if (take("i:")) return close(choice(true));
    if (take("-i:")) return close(choice(false));
    if (take("=")) return look(close(choice(ignoreCase)), false, false);
    if (take("!")) return look(close(choice(ignoreCase)), false, true);
    if (take("<=")) return look(close(choice(ignoreCase)), true, false);
    if (take("<!")) return look(close(choice(ignoreCase)), true, true);
    if (take("#")) {
      while (at < characters.length && characters[at] !== ")") at++;
      return close(empty);
    }
    if (take(">")) {
      const node = close(choice(ignoreCase));
      if (node.type === "repeat" && !node.isLazy && (node.most === Number.POSITIVE_INFINITY || node.most === 1))
        return possessive(node.node, node);
      return refuse("an atomic group of more than a repeated character");
    }
    const name = /^<([A-Za-z_]\w*)>/.exec(characters.slice(at, at + 64).join(""));
    if (!name) return refuse("an option or kind of group that is not supported");
    at += name[0].length;
    return close(choice(ignoreCase));
  }

  const caseOf = (character: string, ignoreCase: boolean): CharacterSet =>
    ignoreCase ? fold(literal(character)) : literal(character);

  /** The set that an escape means; `at` is behind the backslash. */
  function escaped(ignoreCase: boolean, isInSet: boolean): CharacterSet {
    const character = characters[at++];
    if (character === undefined) return refuse("a backslash ends the pattern");
    const classes: Readonly<Record<string, string>> = { s: "space", d: "digit", w: "word", h: "xdigit" };
    const lower = character.toLowerCase();
    if (Object.hasOwn(classes, lower)) {
      const set = named(classes[lower]!);
      return lower === character ? set : not(set);
    }
    if (lower === "p") {
      const [all, negative, name] = /^\{(\^?)([\w -]+)\}/.exec(characters.slice(at, at + 64).join("")) ?? [];
      if (all === undefined) return refuse("a property without a name");
      const set = property(name!) ?? refuse(`the property ${show(name)}, which is not supported,`);
      at += all.length;
      return (negative === "^") !== (character === "P") ? not(set) : set;
    }
    const controls: Readonly<Record<string, string>> = {
      n: "\n",
      r: "\r",
      t: "\t",
      f: "\f",
      v: "\v",
      a: "\x07",
      e: "\x1b",
    };
    if (Object.hasOwn(controls, character)) return literal(controls[character]!);
    if (character === "b" && isInSet) return literal("\b");
    const rest = characters.slice(at, at + 12).join("");
    const hex =
      character === "x"
        ? /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/.exec(rest)
        : character === "u"
          ? /^()([0-9A-Fa-f]{4})/.exec(rest)
          : null;
    if (hex) {
      at += hex[0].length;
      const code = Number.parseInt(hex[1] || hex[2]!, 16);
      if (code > 0x10ffff) refuse("a character beyond U+10FFFF");
      return caseOf(String.fromCodePoint(code), ignoreCase);
    }
    if (character === "0" && !/^\d/.test(rest)) return literal("\0");
    if (/[\p{L}\p{N}]/u.test(character)) return refuse(`the escape ${show(`\\${character}`)}, which is not supported,`);
    return caseOf(character, ignoreCase);
  }

  /** A set in brackets; `at` is behind the opening one. */
  function set(ignoreCase: boolean): CharacterSet {
    if (++depth > deepest) refuse("sets are nested too deep");
    const isNegative = take("^");
    const meets: CharacterSet[] = [];
    let parts: CharacterSet[] = [];
    let isFirst = true;
    while (!(characters[at] === "]" && !isFirst)) {
      if (at >= characters.length) refuse("a set is not closed");
      isFirst = false;
      if (take("&&")) {
        meets.push(anyOf(parts));
        parts = [];
        continue;
      }
      if (take("[:")) {
        const [all, negative, name] = /^(\^?)(\w+):\]/.exec(characters.slice(at, at + 24).join("")) ?? [];
        if (all === undefined) return refuse("a class in [: :] without a name");
        const found = bracketClass(name!) ?? refuse(`the class ${show(name)}, which is not supported,`);
        at += all.length;
        parts.push(negative === "^" ? not(found) : found);
        continue;
      }
      if (take("[")) {
        parts.push(set(ignoreCase));
        continue;
      }
      const from = single();
      if (typeof from !== "string") {
        parts.push(from);
        continue;
      }
      const isRange = characters[at] === "-" && characters[at + 1] !== "]" && characters[at + 1] !== undefined;
      if (!isRange) {
        parts.push(caseOf(from, ignoreCase));
        continue;
      }
      at++;
      const to = single();
      if (typeof to !== "string") return refuse("a range that ends in a class");
      const [first, last] = [from.codePointAt(0)!, to.codePointAt(0)!];
      if (first > last) refuse("a range has its ends turned round");
      parts.push(ignoreCase ? fold(range(first, last)) : range(first, last));
    }
    at++;
    depth--;
    meets.push(anyOf(parts));
    const all = meets.reduce((a, b) => not(anyOf([not(a), not(b)])));
    return isNegative ? not(all) : all;
  }

  /** A character of a set, or a whole class. */
  function single(): string | CharacterSet {
    const character = characters[at++]!;
    if (character !== "\\") return character;
    const found = escaped(false, true);
    return found.character ?? found;
  }

  const tree = choice(false);
  return at < characters.length ? refuse("a group is closed that was not opened") : tree;
}
