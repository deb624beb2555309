import { compare, equals, Float, fail, iterate, Loop, Namespace, numberOf, typeOf, type Value } from "./values.js";

// Tests of Jinja2: what may stand after `is`, and what `select` and its kin are given by name.

type Test = (value: Value, args: readonly Value[]) => boolean;

const cased = (value: Value, change: (text: string) => string): boolean =>
  typeof value === "string" && value === change(value) && value.toLowerCase() !== value.toUpperCase();
const isIterable = (value: Value): boolean =>
  value === undefined || typeof value === "string" || Array.isArray(value) || value instanceof Map;
const whole = (value: Value): number => (typeof value === "number" ? value : fail(`a ${typeOf(value)} is no int`));
const isEqual: Test = (value, [other]) => equals(value, other);
const isGreater: Test = (value, [other]) => compare(value, other) > 0;
const isLess: Test = (value, [other]) => compare(value, other) < 0;
const differs: Test = (value, [other]) => !equals(value, other);

export const tests: Readonly<Record<string, Test>> = {
  defined: (value) => value !== undefined,
  undefined: (value) => value === undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  true: (value) => value === true,
  false: (value) => value === false,
  integer: (value) => typeof value === "number",
  float: (value) => value instanceof Float,
  number: (value) => numberOf(value) !== undefined,
  string: (value) => typeof value === "string",
  mapping: (value) => value instanceof Map,
  iterable: isIterable,
  sequence: isIterable,
  callable: (value) => typeof value === "function",
  lower: (value) => cased(value, (text) => text.toLowerCase()),
  upper: (value) => cased(value, (text) => text.toUpperCase()),
  odd: (value) => whole(value) % 2 !== 0,
  even: (value) => whole(value) % 2 === 0,
  divisibleby: (value, [by]) => whole(value) % whole(by) === 0,
  in: (value, [all]) => contains(all, value),
  sameas: (value, [other]) => value === other,
  eq: isEqual,
  equalto: isEqual,
  "==": isEqual,
  ne: differs,
  "!=": differs,
  gt: isGreater,
  greaterthan: isGreater,
  ">": isGreater,
  lt: isLess,
  lessthan: isLess,
  "<": isLess,
  ge: (value, [other]) => compare(value, other) >= 0,
  ">=": (value, [other]) => compare(value, other) >= 0,
  le: (value, [other]) => compare(value, other) <= 0,
  "<=": (value, [other]) => compare(value, other) <= 0,
};

/** `value in all`. */
export function contains(all: Value, value: Value): boolean {
  if (typeof all === "string")
    return typeof value === "string" ? all.includes(value) : fail(`a ${typeOf(value)} cannot be in a str`);
  if (all instanceof Namespace || all instanceof Loop) return fail(`a ${typeOf(all)} cannot be searched`);
  return iterate(all).some((item) => equals(item, value));
}
