import { show, TokenizerError } from "../../error.js";
import { isRecord } from "../../files/files.js";
import { Pattern } from "../regex/pattern.js";

/** A part of tokenizer.json, and where it is in the file, for errors. */
export interface Part {
  readonly json: Readonly<Record<string, unknown>>;
  readonly where: string;
}

/** Sequences within sequences. */
const deepest = 32;

/** Throws a `TokenizerError` if a part is no object with a type. */
export function partOf(json: unknown, where: string, depth = 0): Part {
  if (depth > deepest) throw new TokenizerError(`${where} is nested more than ${deepest} deep`);
  if (!isRecord(json) || typeof json.type !== "string")
    throw new TokenizerError(`${where} is ${show(json)}; it must be an object with a type`);
  return { json, where };
}

const wrong = ({ json, where }: Part, field: string, right: string) =>
  new TokenizerError(`${where}: ${field} is ${show(json[field])}; it must be ${right}`);

export function textField(part: Part, field: string, missing?: string): string {
  const value = part.json[field] ?? missing;
  if (typeof value !== "string") throw wrong(part, field, "a string");
  return value;
}

export function flagField(part: Part, field: string, missing: boolean): boolean {
  const value = part.json[field] ?? missing;
  if (typeof value !== "boolean") throw wrong(part, field, "true or false");
  return value;
}

export function wholeField(part: Part, field: string, least: number, missing?: number): number {
  const value = part.json[field] ?? missing;
  if (!Number.isSafeInteger(value) || (value as number) < least)
    throw wrong(part, field, `a whole number from ${least}`);
  return value as number;
}

/** One of several names; the first is meant if the field is missing. */
export function choiceField<Name extends string>(part: Part, field: string, names: readonly [Name, ...Name[]]): Name {
  const value = part.json[field] ?? names[0];
  if (!(names as readonly unknown[]).includes(value)) throw wrong(part, field, names.join(" or "));
  return value as Name;
}

/** The parts of a Sequence. */
export function listField<Item>(part: Part, field: string, read: (json: unknown, where: string) => Item): Item[] {
  const value = part.json[field];
  if (!Array.isArray(value)) throw wrong(part, field, "a list");
  return value.map((item, i) => read(item, `${part.where}.${field}[${i}]`));
}

/** Finds the places of a pattern in a text: starts and ends in turn. */
export type Finder = (text: string) => Generator<void, readonly number[]>;

/** Finds characters for which a test holds, one by one. */
export function characters(test: (code: number) => boolean): Finder {
  return function* (text) {
    const found: number[] = [];
    for (let at = 0; at < text.length; at++) {
      const code = text.codePointAt(at)!;
      const from = at;
      if (code > 0xffff) at++;
      if (test(code)) found.push(from, at + 1);
      if (at % 65536 === 0) yield;
    }
    return found;
  };
}

/** A text as it stands. */
export function exactly(wanted: string): Finder {
  return function* (text) {
    const found: number[] = [];
    if (wanted === "") return found;
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      found.push(at, at + wanted.length);
      if (found.length % 65536 === 0) yield;
    }
    return found;
  };
}

const patterns = new Map<string, Pattern>();
/** Patterns kept at most, so that models loaded again find theirs. */
const mostPatterns = 64;

/** The finder of a regular expression. Throws a `TokenizerError` for one that cannot be used. */
export function regular(source: string, where: string): Finder {
  let pattern = patterns.get(source);
  if (!pattern) {
    try {
      pattern = new Pattern(source);
    } catch (error) {
      throw new TokenizerError(
        `${where} has the pattern ${show(source)}, which is not supported: ${(error as Error).message}`,
      );
    }
    if (patterns.size >= mostPatterns) patterns.clear();
    patterns.set(source, pattern);
  }
  return (text) => pattern.find(text);
}

/** The `pattern` field: `{"String": "..."}` or `{"Regex": "..."}`. */
export function patternField(part: Part): Finder {
  const { pattern } = part.json;
  if (typeof pattern === "string") return exactly(pattern);
  if (isRecord(pattern) && typeof pattern.String === "string") return exactly(pattern.String);
  if (isRecord(pattern) && typeof pattern.Regex === "string") return regular(pattern.Regex, part.where);
  throw new TokenizerError(
    `${part.where} has the pattern ${show(pattern)}; it must be an object with a Regex or a String`,
  );
}

/**
 * The most characters that the parts of a tokenizer may make of `length` characters, all parts together: compatibility
 * forms make 18 of one, bytes 3. Parts in a sequence could otherwise double a text any number of times.
 */
export const grown = (length: number): number => 64 * length + 256;

/** Throws a `TokenizerError` for a text that has grown beyond `most` characters. */
export function checkGrowth(length: number, most: number): void {
  if (length > most)
    throw new TokenizerError(`the tokenizer's parts make a text longer than ${most} characters of a shorter one`);
}

/** The mark that stands for a space, one character as in the reference library. */
export function markField(part: Part, field: string): string {
  const mark = textField(part, field, "▁");
  if ([...mark].length !== 1) throw wrong(part, field, "one character");
  return mark;
}

/** Runs a generator to its end at once. */
export function drain<Result>(steps: Generator<void, Result>): Result {
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}
