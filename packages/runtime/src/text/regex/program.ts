import type { CharacterSet } from "./sets.js";
import { type Node, PatternError } from "./syntax.js";

/** One instruction of a program; `next` and `other` are places in it. */
export type Instruction =
  /** Takes a character of the set. */
  | { readonly op: "set"; readonly set: number; readonly next: number }
  /** Goes on at `next`, or else at `other`. */
  | { readonly op: "split"; next: number; other: number }
  /** Goes on if the look holds here. */
  | { readonly op: "look"; readonly look: number; readonly isNegative: boolean; readonly next: number }
  | { readonly op: "match" };

/** A program, which begins at its last instruction's `start`. `looks` of a pattern come after those within them. */
export interface Program {
  readonly instructions: readonly Instruction[];
  readonly start: number;
  /** Whether it reads a text from its end to its start. */
  readonly isReversed: boolean;
}

export interface Compiled {
  readonly sets: readonly CharacterSet[];
  readonly looks: readonly Program[];
  readonly main: Program;
}

const mostInstructions = 4000;
/** Looks are bits of one number. */
const mostLooks = 30;

/** Throws a {@link PatternError} for a pattern that is too large. */
export function compile(tree: Node): Compiled {
  const sets: CharacterSet[] = [];
  const places = new Map<string, number>();
  const looks: Program[] = [];
  const looksByKey = new Map<string, number>();
  let total = 0;

  function setOf(set: CharacterSet): number {
    const known = places.get(set.key);
    if (known !== undefined) return known;
    places.set(set.key, sets.length);
    return sets.push(set) - 1;
  }

  /** Compiles back to front, so that what follows is known. */
  function program(root: Node, isReversed: boolean): Program {
    const instructions: Instruction[] = [{ op: "match" }];
    const add = (instruction: Instruction): number => {
      if (++total > mostInstructions)
        throw new PatternError(`it has more than ${mostInstructions} parts once written out`);
      return instructions.push(instruction) - 1;
    };
    function emit(node: Node, next: number): number {
      switch (node.type) {
        case "set":
          return add({ op: "set", set: setOf(node.set), next });
        case "sequence": {
          const nodes = isReversed ? node.nodes : [...node.nodes].reverse();
          return nodes.reduce((behind, part) => emit(part, behind), next);
        }
        case "choice":
          return [...node.nodes]
            .map((part) => emit(part, next))
            .reduceRight((other, first) => add({ op: "split", next: first, other }));
        case "look":
          return add({ op: "look", look: lookOf(node.node, node.isBehind), isNegative: node.isNegative, next });
        case "repeat": {
          const { node: part, least, most, isLazy } = node;
          const split = (once: number, skip: number) =>
            add(isLazy ? { op: "split", next: skip, other: once } : { op: "split", next: once, other: skip });
          let place = next;
          if (most === Number.POSITIVE_INFINITY) {
            const loop = { op: "split" as const, next: 0, other: 0 };
            const at = add(loop);
            const once = emit(part, at);
            Object.assign(loop, isLazy ? { next, other: once } : { next: once, other: next });
            // At least once: the loop is entered through its body. A text of no characters ends it.
            if (least === 0) return at;
            place = once;
            for (let i = 1; i < least; i++) place = emit(part, place);
            return place;
          }
          for (let i = least; i < most; i++) place = split(emit(part, place), next);
          for (let i = 0; i < least; i++) place = emit(part, place);
          return place;
        }
      }
    }
    const start = emit(root, 0);
    return { instructions, start, isReversed };
  }

  function lookOf(node: Node, isBehind: boolean): number {
    const found = program(node, isBehind);
    const key = JSON.stringify(found);
    const known = looksByKey.get(key);
    if (known !== undefined) return known;
    if (looks.length >= mostLooks) throw new PatternError(`it has more than ${mostLooks} conditions`);
    looksByKey.set(key, looks.length);
    return looks.push(found) - 1;
  }

  const main = program(tree, false);
  return { sets, looks, main };
}
