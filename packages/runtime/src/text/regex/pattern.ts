import { type Compiled, compile, type Program } from "./program.js";
import { PatternError, parse } from "./syntax.js";

// Matching in time linear in the text, whatever the pattern (A. Frisch and L. Cardelli, "Greedy Regular Expression
// Matching", ICALP 2004): a pass from the end of the text finds at each place from which instructions a match can be
// reached, as states of an automaton that is built while it runs. A walk from the start then follows the instruction
// that a backtracking engine would prefer among those, and never turns back. Conditions (lookahead, lookbehind,
// anchors) are passes of their own, whose outcomes are bits at each place.

/** Characters between two pauses of a pass. */
const stretch = 1 << 14;
/** States that the passes of one program may have; real patterns have some dozens. */
const mostStates = 5000;

/** Characters of a text whose matches are kept, and texts that are. */
const longestKept = 32;
const mostKept = 8192;

/** The second half of a surrogate pair. */
const continued = -1;

/** From which instructions of a program a match can be reached. */
interface State {
  readonly alive: Uint8Array;
  /** The state before a character, by the character's class and the conditions' bits. */
  readonly before: Map<number, State>;
}

class Passes {
  readonly #program: Program;
  readonly #members: readonly Uint8Array[];
  readonly #states = new Map<string, State>();
  readonly #ends = new Map<number, State>();

  /** `members`: by class, which sets hold its characters. */
  constructor(program: Program, members: readonly Uint8Array[]) {
    this.#program = program;
    this.#members = members;
  }

  /** The state where the text ends. */
  end(bits: number): State {
    let state = this.#ends.get(bits);
    if (!state) {
      state = this.#state(undefined, 0, bits);
      this.#ends.set(bits, state);
    }
    return state;
  }

  /** The state before a character of `kind`, with `after` behind it. */
  before(after: State, kind: number, bits: number): State {
    const key = kind + bits * 4096;
    let state = after.before.get(key);
    if (!state) {
      state = this.#state(after, kind, bits);
      after.before.set(key, state);
    }
    return state;
  }

  #state(after: State | undefined, kind: number, bits: number): State {
    const { instructions } = this.#program;
    const alive = new Uint8Array(instructions.length);
    for (const [at, instruction] of instructions.entries()) {
      if (instruction.op === "match") alive[at] = 1;
      else if (instruction.op === "set" && after)
        alive[at] = this.#members[kind]![instruction.set]! & after.alive[instruction.next]!;
    }
    for (let isChanged = true; isChanged; ) {
      isChanged = false;
      for (const [at, instruction] of instructions.entries()) {
        if (alive[at] || instruction.op === "match" || instruction.op === "set") continue;
        const isAlive =
          instruction.op === "split"
            ? alive[instruction.next]! | alive[instruction.other]!
            : alive[instruction.next]! & (((bits >>> instruction.look) & 1) ^ Number(instruction.isNegative));
        if (!isAlive) continue;
        alive[at] = 1;
        isChanged = true;
      }
    }
    const key = String.fromCharCode(...alive);
    const known = this.#states.get(key);
    if (known) return known;
    if (this.#states.size >= mostStates)
      throw new PatternError(`it needs more than ${mostStates} states for this text`);
    const state = { alive, before: new Map() };
    this.#states.set(key, state);
    return state;
  }
}

/** A regular expression in Oniguruma's syntax that matches in linear time. */
export class Pattern {
  readonly #compiled: Compiled;
  /** Classes of the first 65,536 characters, 0 for those not seen yet, else one more than the class. */
  readonly #basic = new Uint16Array(0x10000);
  readonly #further = new Map<number, number>();
  readonly #classes = new Map<string, number>();
  readonly #members: Uint8Array[] = [];
  readonly #main: Passes;
  readonly #looks: readonly Passes[];
  readonly #kept = new Map<string, readonly number[]>();

  /** Throws a {@link PatternError} for a pattern that cannot be used. */
  constructor(source: string) {
    this.#compiled = compile(parse(source));
    this.#main = new Passes(this.#compiled.main, this.#members);
    this.#looks = this.#compiled.looks.map((program) => new Passes(program, this.#members));
  }

  /**
   * Finds all matches in a text, leftmost first, that do not overlap; an empty one never follows another at once. Gives
   * their starts and ends in turn. Yields now and then, so that others may run. Throws a {@link PatternError} if the
   * text makes the pattern need too many states.
   */
  *find(text: string): Generator<void, readonly number[]> {
    if (text.length > longestKept) return yield* this.#find(text);
    let found = this.#kept.get(text);
    if (!found) {
      found = yield* this.#find(text);
      if (this.#kept.size >= mostKept) this.#kept.clear();
      this.#kept.set(text, found);
    }
    return found;
  }

  *#find(text: string): Generator<void, readonly number[]> {
    const { length } = text;
    const kinds = new Int16Array(length);
    for (let at = 0; at < length; at++) {
      const code = text.codePointAt(at)!;
      kinds[at] = this.#classOf(code);
      if (code > 0xffff) kinds[++at] = continued;
      if (at % stretch === stretch - 1) yield;
    }
    const bits = this.#looks.length > 0 ? new Uint32Array(length + 1) : undefined;
    for (const [look, passes] of this.#looks.entries()) {
      const { start, isReversed } = this.#compiled.looks[look]!;
      if (isReversed) {
        let state = passes.end(bits![0]!);
        bits![0]! |= state.alive[start]! << look;
        for (let at = 1; at <= length; at++) {
          if (kinds[at - 1] !== continued)
            state = passes.before(
              state,
              kinds[at - 1]!,
              at < length && kinds[at] === continued ? bits![at + 1]! : bits![at]!,
            );
          bits![at]! |= state.alive[start]! << look;
          if (at % stretch === 0) yield;
        }
      } else {
        let state = passes.end(bits![length]!);
        bits![length]! |= state.alive[start]! << look;
        for (let at = length - 1; at >= 0; at--) {
          if (kinds[at] === continued) continue;
          state = passes.before(state, kinds[at]!, bits![at]!);
          bits![at]! |= state.alive[start]! << look;
          if (at % stretch === 0) yield;
        }
      }
    }
    const states = new Array<State>(length + 1);
    states[length] = this.#main.end(bits?.[length] ?? 0);
    for (let at = length - 1; at >= 0; at--) {
      states[at] =
        kinds[at] === continued ? states[at + 1]! : this.#main.before(states[at + 1]!, kinds[at]!, bits?.[at] ?? 0);
      if (at % stretch === 0) yield;
    }
    const found: number[] = [];
    const { start } = this.#compiled.main;
    let at = 0;
    let lastEnd = -1;
    while (at <= length) {
      if (kinds[at] === continued || states[at]!.alive[start] === 0) {
        at++;
        if (at % stretch === 0) yield;
        continue;
      }
      const end = this.#walk(at, kinds, states);
      if (end === at && lastEnd === at) at++;
      else {
        found.push(at, end);
        lastEnd = end;
        if (Math.floor(at / stretch) !== Math.floor(end / stretch)) yield;
        at = end;
      }
    }
    return found;
  }

  /** The end of the match that begins at a place. */
  #walk(from: number, kinds: Int16Array, states: readonly State[]): number {
    const { instructions, start } = this.#compiled.main;
    let at = from;
    let place = start;
    while (true) {
      const instruction = instructions[place]!;
      if (instruction.op === "match") return at;
      if (instruction.op === "set") {
        at += kinds[at + 1] === continued ? 2 : 1;
        place = instruction.next;
      } else if (instruction.op === "look") place = instruction.next;
      else place = states[at]!.alive[instruction.next] ? instruction.next : instruction.other;
    }
  }

  #classOf(code: number): number {
    const known = code < 0x10000 ? this.#basic[code]! : (this.#further.get(code) ?? 0);
    if (known > 0) return known - 1;
    const members = Uint8Array.from(this.#compiled.sets, (set) => Number(set.has(code)));
    const key = members.join("");
    let found = this.#classes.get(key);
    if (found === undefined) {
      found = this.#members.push(members) - 1;
      this.#classes.set(key, found);
    }
    if (code < 0x10000) this.#basic[code] = found + 1;
    else this.#further.set(code, found + 1);
    return found;
  }
}
