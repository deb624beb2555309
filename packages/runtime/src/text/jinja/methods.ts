import {
  type Arguments,
  type Callable,
  type Dict,
  equals,
  fail,
  isTrue,
  iterate,
  Loop,
  Namespace,
  Tuple,
  text,
  typeOf,
  type Value,
  work,
} from "./values.js";

// Attributes and methods of values, as Python has them. What Python has and this lacks is refused by name.

const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const startSpace = new RegExp(`^[${space}]+`);
const someSpace = new RegExp(`[${space}]+`);
/** Where `str.splitlines` ends a line. */
export const lineEnd = new RegExp(`\\r\\n|[${"\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029"}]`);
export const isSpace = (character: string): boolean => someSpace.test(character);

/**
 * Values of named parameters, in order; undefined for those that were left out. Throws for more arguments, or others,
 * than there are parameters.
 */
export function bind(what: string, { args, named }: Arguments, names: readonly string[]): Value[] {
  if (args.length > names.length) fail(`${what} takes ${names.length} arguments, ${args.length} were given`);
  for (const name of named.keys())
    if (!names.includes(name) || names.indexOf(name) < args.length) fail(`${what} takes no argument ${name}`);
  return names.map((name, i) => (i < args.length ? args[i] : named.get(name)));
}

export function asText(what: string, value: Value): string {
  return typeof value === "string" ? value : fail(`${what} is a ${typeOf(value)}; it must be a str`);
}

export function asInt(what: string, value: Value): number {
  if (typeof value === "boolean") return Number(value);
  return typeof value === "number" ? value : fail(`${what} is a ${typeOf(value)}; it must be an int`);
}

/** `str.strip`, `lstrip` and `rstrip`: `characters` undefined or None for white space. */
export function strip(value: string, sides: "both" | "left" | "right", characters?: Value): string {
  const isStripped =
    characters === undefined || characters === null
      ? isSpace
      : (
          (set) => (character: string) =>
            set.has(character)
        )(new Set(asText("strip's argument", characters)));
  let from = 0;
  let to = value.length;
  const before = (at: number) => (/[\udc00-\udfff]/.test(value[at - 1] ?? "") ? at - 2 : at - 1);
  if (sides !== "right")
    for (let next = from; next < to; from = next) {
      next = from + String.fromCodePoint(value.codePointAt(from)!).length;
      if (!isStripped(value.slice(from, next))) break;
    }
  if (sides !== "left") while (to > from && isStripped(value.slice(before(to), to))) to = before(to);
  return value.slice(from, to);
}

function split(value: string, separator: Value, limit: number, fromRight: boolean): string[] {
  const most = limit < 0 ? Number.POSITIVE_INFINITY : limit;
  if (separator === undefined || separator === null) {
    const words: string[] = [];
    let rest = strip(value, fromRight ? "right" : "left");
    if (fromRight) {
      if (most !== Number.POSITIVE_INFINITY) fail("rsplit by white space with a limit is not supported");
      return split(value, separator, -1, false);
    }
    while (rest !== "" && words.length < most) {
      const [word] = rest.split(someSpace, 1) as [string];
      words.push(word);
      rest = rest.slice(word.length).replace(startSpace, "");
    }
    return rest === "" ? words : [...words, rest];
  }
  const by = asText("split's separator", separator);
  if (by === "") fail("split: the separator is empty");
  const parts = value.split(by);
  if (parts.length <= most + 1) return parts;
  if (fromRight) return [parts.slice(0, parts.length - most).join(by), ...parts.slice(parts.length - most)];
  return [...parts.slice(0, most), parts.slice(most).join(by)];
}

/** Texts with another between them. */
export function joined(parts: readonly string[], by: string): string {
  work((parts.reduce((sum, part) => sum + part.length, 0) + parts.length * by.length) / 16);
  return parts.join(by);
}

export function replace(value: string, given: Arguments): string {
  const [from, to, count] = bind("replace", given, ["old", "new", "count"]);
  const [before, after] = [asText("replace's first argument", from), asText("replace's second argument", to)];
  const most = count === undefined || count === null ? -1 : asInt("replace's count", count);
  if (most < 0 && before === "") return joined(["", ...value, ""], after);
  if (most < 0) return joined(value.split(before), after);
  if (before === "") return fail("replace: nothing is replaced so many times");
  const parts = value.split(before);
  return (
    joined(parts.slice(0, most + 1), after) +
    (parts.length > most + 1 ? before + parts.slice(most + 1).join(before) : "")
  );
}

/** Whether a string starts, or ends, with a string or with one of a tuple's. */
const tests = (what: string, given: Arguments, test: (part: string) => boolean): boolean => {
  const [parts] = bind(what, given, ["prefix"]);
  return parts instanceof Tuple ? parts.some((part) => test(asText(what, part))) : test(asText(what, parts));
};

export const capitalize = (value: string): string => {
  const [first = "", ...rest] = value;
  return first.toUpperCase() + rest.join("").toLowerCase();
};

const textMethods: Readonly<Record<string, (value: string, given: Arguments) => Value>> = {
  upper: (value) => value.toUpperCase(),
  lower: (value) => value.toLowerCase(),
  capitalize,
  title(value) {
    work(value.length);
    return value.replace(/\p{L}+/gu, (word) => {
      const [first = "", ...rest] = word;
      return first.toUpperCase() + rest.join("").toLowerCase();
    });
  },
  strip: (value, given) => strip(value, "both", bind("strip", given, ["chars"])[0]),
  lstrip: (value, given) => strip(value, "left", bind("lstrip", given, ["chars"])[0]),
  rstrip: (value, given) => strip(value, "right", bind("rstrip", given, ["chars"])[0]),
  startswith: (value, given) => tests("startswith", given, (part) => value.startsWith(part)),
  endswith: (value, given) => tests("endswith", given, (part) => value.endsWith(part)),
  split(value, given) {
    const [separator, limit = -1] = bind("split", given, ["sep", "maxsplit"]);
    return split(value, separator, asInt("maxsplit", limit), false);
  },
  rsplit(value, given) {
    const [separator, limit = -1] = bind("rsplit", given, ["sep", "maxsplit"]);
    return split(value, separator, asInt("maxsplit", limit), true);
  },
  splitlines(value, given) {
    if (isTrue(bind("splitlines", given, ["keepends"])[0])) fail("splitlines: keepends is not supported");
    const lines = value.split(lineEnd);
    return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
  },
  partition(value, given) {
    const by = asText("partition's separator", bind("partition", given, ["sep"])[0]);
    const at = by === "" ? fail("partition: the separator is empty") : value.indexOf(by);
    return at < 0
      ? Tuple.of<Value>(value, "", "")
      : Tuple.of<Value>(value.slice(0, at), by, value.slice(at + by.length));
  },
  replace,
  join: (value, given) =>
    joined(
      iterate(bind("join", given, ["iterable"])[0]).map((item) => asText("an item to join", item)),
      value,
    ),
  find(value, given) {
    const at = value.indexOf(asText("find's argument", bind("find", given, ["sub"])[0]));
    return at < 0 ? at : [...value.slice(0, at)].length;
  },
  count: (value, given) => value.split(asText("count's argument", bind("count", given, ["sub"])[0])).length - 1,
  removeprefix(value, given) {
    const part = asText("removeprefix's argument", bind("removeprefix", given, ["prefix"])[0]);
    return value.startsWith(part) ? value.slice(part.length) : value;
  },
  removesuffix(value, given) {
    const part = asText("removesuffix's argument", bind("removesuffix", given, ["suffix"])[0]);
    return part !== "" && value.endsWith(part) ? value.slice(0, -part.length) : value;
  },
  isdigit: (value) => /^\p{Nd}+$/u.test(value),
  isspace: (value) => value !== "" && [...value].every(isSpace),
  islower: (value) => value === value.toLowerCase() && value !== value.toUpperCase(),
  isupper: (value) => value === value.toUpperCase() && value !== value.toLowerCase(),
  isalpha: (value) => /^\p{L}+$/u.test(value),
  isalnum: (value) => /^[\p{L}\p{N}]+$/u.test(value),
};

const dictMethods: Readonly<Record<string, (value: Dict, given: Arguments) => Value>> = {
  get(value, given) {
    const [key, missing = null] = bind("get", given, ["key", "default"]);
    return value.has(key) ? value.get(key) : missing;
  },
  items: (value) => [...value].map((entry) => Tuple.of(...entry)),
  keys: (value) => [...value.keys()],
  values: (value) => [...value.values()],
  copy: (value) => new Map(value),
};

const listMethods: Readonly<Record<string, (value: readonly Value[], given: Arguments) => Value>> = {
  count: (value, given) => value.filter((item) => equals(item, bind("count", given, ["value"])[0])).length,
  index(value, given) {
    const at = value.findIndex((item) => equals(item, bind("index", given, ["value"])[0]));
    return at < 0 ? fail("index: the list has no such item") : at;
  },
};

/** Methods that Python has and templates cannot call here: they would change a value, or nobody needs them. */
const otherMethods: Readonly<Record<string, string>> = {
  str: "casefold center encode expandtabs format format_map index isascii isdecimal isidentifier isnumeric isprintable istitle ljust maketrans rfind rindex rjust rpartition swapcase translate zfill",
  dict: "clear fromkeys pop popitem setdefault update",
  list: "append clear copy extend insert pop remove reverse sort",
};

function methodOf(value: Value, name: string): Callable | undefined {
  const [kind, methods] =
    typeof value === "string"
      ? (["str", textMethods] as const)
      : value instanceof Map
        ? (["dict", dictMethods] as const)
        : Array.isArray(value)
          ? (["list", listMethods] as const)
          : ["", {}];
  if (Object.hasOwn(methods, name)) {
    const method = (methods as Record<string, (value: never, given: Arguments) => Value>)[name]!;
    return (given) => method(value as never, given);
  }
  if (otherMethods[kind]?.split(" ").includes(name)) return fail(`${kind}.${name} is not supported`);
  return undefined;
}

/** `value.name`: what Python has under that name, else the item of that key. */
export function attribute(value: Value, name: string): Value {
  if (value === undefined) return fail(`${JSON.stringify(name)} of an undefined value`);
  if (value instanceof Namespace || value instanceof Loop) return value.entries.get(name);
  return methodOf(value, name) ?? (value instanceof Map ? value.get(name) : undefined);
}

/** `value[key]`: the item, else the attribute of that name. */
export function item(value: Value, key: Value): Value {
  if (value === undefined) return fail(`${text(key)} of an undefined value`);
  if (value instanceof Map && value.has(key)) return value.get(key);
  if (typeof key === "number") {
    if (typeof value === "string") return [...value].at(key);
    return Array.isArray(value) ? value.at(key) : undefined;
  }
  return typeof key === "string" ? attribute(value, key) : undefined;
}

/** `value[start:stop:step]`. */
export function slice(value: Value, start: Value, stop: Value, step: Value): Value {
  const all =
    typeof value === "string" ? [...value] : Array.isArray(value) ? value : fail(`a ${typeOf(value)} cannot be sliced`);
  const by = step === undefined || step === null ? 1 : asInt("a slice's step", step);
  if (by === 0) fail("a slice's step is 0");
  const place = (at: Value, missing: number): number => {
    if (at === undefined || at === null) return missing;
    const index = asInt("a slice's end", at);
    const least = by < 0 ? -1 : 0;
    return Math.min(Math.max(index < 0 ? index + all.length : index, least), by < 0 ? all.length - 1 : all.length);
  };
  const from = place(start, by < 0 ? all.length - 1 : 0);
  const to = place(stop, by < 0 ? -1 : all.length);
  const taken: Value[] = [];
  for (let i = from; by < 0 ? i > to : i < to; i += by) taken.push(all[i]);
  return typeof value === "string" ? taken.join("") : taken;
}
