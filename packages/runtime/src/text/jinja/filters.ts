import { asInt, asText, attribute, bind, capitalize, item, joined, lineEnd, replace, strip } from "./methods.js";
import { tests } from "./tests.js";
import {
  type Arguments,
  compare,
  equals,
  Float,
  fail,
  isTrue,
  iterate,
  json,
  numberOf,
  Tuple,
  text,
  typeOf,
  type Value,
  work,
} from "./values.js";

// Filters of Jinja2, and `tojson` as transformers replaces it.

type Filter = (value: Value, given: Arguments) => Value;

/** The value at a path such as `function.name` or `0`; the value itself if there is no path. */
function reach(value: Value, path: Value): Value {
  if (path === undefined || path === null) return value;
  if (typeof path === "number") return item(value, path);
  return asText("attribute", path)
    .split(".")
    .reduce<Value>((from, part) => (/^\d+$/.test(part) ? item(from, Number(part)) : item(from, part)), value);
}

const folded = (value: Value, caseSensitive: Value): Value =>
  typeof value === "string" && !isTrue(caseSensitive) ? value.toLowerCase() : value;

/** `select`, `reject`, `selectattr` and `rejectattr`. */
const choose =
  (keep: boolean, byAttribute: boolean): Filter =>
  (value, { args }) => {
    const [path, name, ...rest] = byAttribute ? args : [undefined, ...args];
    const test = name === undefined ? isTrue : (tested: Value) => testNamed(asText("a test", name))(tested, rest);
    return iterate(value).filter((one) => test(reach(one, path)) === keep);
  };

function testNamed(name: string) {
  return Object.hasOwn(tests, name) ? tests[name]! : fail(`the test ${JSON.stringify(name)} is not supported`);
}

const extreme =
  (sign: number): Filter =>
  (value, given) => {
    const [caseSensitive, path] = bind("min or max", given, ["case_sensitive", "attribute"]);
    const key = (one: Value) => folded(reach(one, path), caseSensitive);
    const all = iterate(value);
    return all.length === 0
      ? undefined
      : all.reduce((best, one) => (sign * compare(key(one), key(best)) > 0 ? one : best));
  };

function sorted(items: readonly Value[], key: (one: Value) => Value, reverse: Value): Value[] {
  const sign = isTrue(reverse) ? -1 : 1;
  return [...items].sort((a, b) => sign * compare(key(a), key(b)));
}

/** Spaces to indent by. */
function blanks(what: string, value: Value, most: number): string {
  const count = Math.max(asInt(what, value), 0);
  return count > most ? fail(`${what} is ${count}; ${most} is the most allowed`) : " ".repeat(count);
}

const length: Filter = (value) => {
  if (typeof value === "string") return [...value].length;
  if (value instanceof Map) return value.size;
  return value === undefined ? 0 : Array.isArray(value) ? value.length : fail(`a ${typeOf(value)} has no length`);
};

const byDefault: Filter = (value, given) => {
  const [other = "", boolean] = bind("default", given, ["default_value", "boolean"]);
  return value === undefined || (isTrue(boolean) && !isTrue(value)) ? other : value;
};

export const filters: Readonly<Record<string, Filter>> = {
  safe: (value) => value,
  string: text,
  upper: (value) => text(value).toUpperCase(),
  lower: (value) => text(value).toLowerCase(),
  capitalize: (value) => capitalize(text(value)),
  title(value) {
    const written = text(value);
    work(written.length);
    return written
      .split(/([-\s({[<]+)/)
      .map(capitalize)
      .join("");
  },
  trim: (value, given) => strip(text(value), "both", bind("trim", given, ["chars"])[0]),
  replace: (value, given) => replace(text(value), given),
  length,
  count: length,
  default: byDefault,
  d: byDefault,
  list: (value) => [...iterate(value)],
  first: (value) => iterate(value)[0],
  last: (value) => iterate(value).at(-1),
  reverse: (value) => (typeof value === "string" ? [...value].reverse().join("") : [...iterate(value)].reverse()),
  items(value) {
    if (value === undefined) return [];
    return value instanceof Map
      ? [...value].map((entry) => Tuple.of(...entry))
      : fail(`a ${typeOf(value)} has no items`);
  },
  join(value, given) {
    const [by = "", path] = bind("join", given, ["d", "attribute"]);
    return joined(
      iterate(value).map((one) => text(reach(one, path))),
      text(by),
    );
  },
  map(value, given) {
    const { args, named } = given;
    if (named.has("attribute"))
      return iterate(value).map((one) => reach(one, named.get("attribute")) ?? named.get("default"));
    const [name, ...rest] = args;
    const filter = filterNamed(asText("a filter", name));
    return iterate(value).map((one) => filter(one, { args: rest, named }));
  },
  select: choose(true, false),
  reject: choose(false, false),
  selectattr: choose(true, true),
  rejectattr: choose(false, true),
  sort(value, given) {
    const [reverse, caseSensitive, path] = bind("sort", given, ["reverse", "case_sensitive", "attribute"]);
    return sorted(iterate(value), (one) => folded(reach(one, path), caseSensitive), reverse);
  },
  dictsort(value, given) {
    const [caseSensitive, by = "key", reverse] = bind("dictsort", given, ["case_sensitive", "by", "reverse"]);
    if (!(value instanceof Map)) fail(`dictsort: a ${typeOf(value)} is no dict`);
    const at = by === "value" ? 1 : by === "key" ? 0 : fail("dictsort: by must be key or value");
    const entries = [...(value as Map<Value, Value>)].map((entry) => Tuple.of(...entry));
    return sorted(entries, (entry) => folded((entry as Value[])[at], caseSensitive), reverse);
  },
  unique(value, given) {
    const [caseSensitive, path] = bind("unique", given, ["case_sensitive", "attribute"]);
    const seen: Value[] = [];
    return iterate(value).filter((one) => {
      const key = folded(reach(one, path), caseSensitive);
      if (seen.some((other) => equals(other, key))) return false;
      seen.push(key);
      return true;
    });
  },
  min: extreme(-1),
  max: extreme(1),
  sum(value, given) {
    const [path, start = 0] = bind("sum", given, ["attribute", "start"]);
    let isFloat = start instanceof Float;
    let total = numberOf(start) ?? fail("sum: start is no number");
    for (const one of iterate(value)) {
      const part = reach(one, path);
      isFloat ||= part instanceof Float;
      total += numberOf(part) ?? fail(`sum: a ${typeOf(part)} is no number`);
    }
    return isFloat ? new Float(total) : total;
  },
  abs(value) {
    const number = numberOf(value) ?? fail(`abs: a ${typeOf(value)} is no number`);
    return value instanceof Float ? new Float(Math.abs(number)) : Math.abs(number);
  },
  int(value, given) {
    const [missing = 0, base = 10] = bind("int", given, ["default", "base"]);
    if (base !== 10) fail("int: a base other than 10 is not supported");
    const number = numberOf(value) ?? (typeof value === "string" ? parseNumber(value) : undefined);
    return number === undefined || !Number.isFinite(number) ? missing : Math.trunc(number);
  },
  float(value, given) {
    const [missing = new Float(0)] = bind("float", given, ["default"]);
    const number = numberOf(value) ?? (typeof value === "string" ? parseNumber(value) : undefined);
    return number === undefined ? missing : new Float(number);
  },
  indent(value, given) {
    const [width = 4, first, blank] = bind("indent", given, ["width", "first", "blank"]);
    const by = typeof width === "string" ? width : blanks("width", width, 10_000);
    const lines = text(value).split(lineEnd);
    work((lines.length * by.length) / 16);
    return lines
      .map((line, i) => ((i === 0 && !isTrue(first)) || (line === "" && !isTrue(blank) && i > 0) ? line : by + line))
      .join("\n");
  },
  attr: (value, given) => attribute(value, asText("attr's argument", bind("attr", given, ["name"])[0])),
  tojson(value, given) {
    const [ensureAscii = false, indent = null, separators = null, sortKeys = false] = bind("tojson", given, [
      "ensure_ascii",
      "indent",
      "separators",
      "sort_keys",
    ]);
    const [between, colon] =
      separators === null
        ? [indent === null ? ", " : ",", ": "]
        : iterate(separators).map((part) => asText("a separator", part));
    return json(value, {
      ensureAscii: isTrue(ensureAscii),
      indent: indent === null ? undefined : typeof indent === "string" ? indent : blanks("indent", indent, 100),
      separators: [between ?? "", colon ?? ""],
      sortKeys: isTrue(sortKeys),
    });
  },
};

/** Throws for a filter that is not supported. */
export function filterNamed(name: string): Filter {
  return Object.hasOwn(filters, name) ? filters[name]! : fail(`the filter ${JSON.stringify(name)} is not supported`);
}

/** A number as Python's `int` and `float` read it; undefined where the text is none. */
function parseNumber(value: string): number | undefined {
  const trimmed = strip(value, "both");
  if (!/^[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return undefined;
  return Number(trimmed.replaceAll("_", ""));
}
