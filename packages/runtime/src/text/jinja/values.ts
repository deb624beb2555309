import { show } from "../../error.js";

// Values of a template, with Python's meaning: what they print as, when they are equal, how they compare. Lists are
// arrays, dicts are maps, whole numbers are JavaScript numbers.

/** A Python float. Whole numbers are plain numbers, so that `1` and `1.0` print differently. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** A Python tuple, which prints in parentheses and never equals a list. */
export class Tuple extends Array<Value> {}

/** What `namespace(...)` gives: the only value that a template can change. */
export class Namespace {
  readonly entries: Map<string, Value>;
  constructor(entries: Map<string, Value>) {
    this.entries = entries;
  }
}

/** The `loop` variable. */
export class Loop {
  readonly entries: ReadonlyMap<string, Value>;
  constructor(entries: ReadonlyMap<string, Value>) {
    this.entries = entries;
  }
}

export type Arguments = { readonly args: readonly Value[]; readonly named: ReadonlyMap<string, Value> };
export type Callable = (given: Arguments) => Value;
export type Dict = Map<Value, Value>;
export type Value = undefined | null | boolean | number | string | Float | Value[] | Dict | Namespace | Loop | Callable;

/** What a template gets wrong; {@link compileTemplate} puts the template's name before it. */
export class JinjaError extends Error {}

export function fail(message: string): never {
  throw new JinjaError(message);
}

/** What the run at work may still do; a template is rendered at once, so there is one run at a time. */
let left = Number.POSITIVE_INFINITY;

/** Runs `run`, which may do so much work. */
export function withWork<Result>(most: number, run: () => Result): Result {
  const before = left;
  left = most;
  try {
    return run();
  } finally {
    left = before;
  }
}

/** Counts what one node of a template does on its own: comparisons, elements looked at, sixteen characters made. */
export function work(amount: number): void {
  left -= amount;
  if (left < 0) fail("it compares, searches or joins too much");
}

/** Python's name for the type of a value, for errors. */
export function typeOf(value: Value): string {
  if (value === undefined) return "undefined";
  if (value === null) return "None";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "int";
  if (typeof value === "string") return "str";
  if (value instanceof Float) return "float";
  if (value instanceof Tuple) return "tuple";
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict";
  if (value instanceof Namespace) return "namespace";
  return typeof value === "function" ? "function" : "loop";
}

/** A JSON-like JavaScript value as a value of a template. Throws a {@link JinjaError} for what is none. */
export function toValue(value: unknown): Value {
  if (value === undefined || value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) ? value : new Float(value);
  if (typeof value === "function") return value as Callable;
  if (Array.isArray(value)) return value.map(toValue);
  if (typeof value === "object") return new Map(Object.entries(value).map(([key, item]) => [key, toValue(item)]));
  return fail(`${show(value)} is no value for a template`);
}

export function isTrue(value: Value): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  if (value instanceof Float) return value.value !== 0;
  return value instanceof Map ? value.size > 0 : Boolean(value);
}

/** The number behind an int, a float or a bool; undefined for anything else. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  return value instanceof Float ? value.value : undefined;
}

export function equals(a: Value, b: Value): boolean {
  work(typeof a === "string" && typeof b === "string" && a.length === b.length ? 1 + a.length / 256 : 1);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined || y !== undefined) return x === y;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length || a instanceof Tuple !== b instanceof Tuple) return false;
    return a.every((item, i) => equals(item, b[i]));
  }
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, item]) => b.has(key) && equals(item, b.get(key)));
  return a === b;
}

/** Negative, 0 or positive; strings by code points. Throws for values that Python does not order. */
export function compare(a: Value, b: Value): number {
  work(1);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return x - y;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) if (!equals(a[i], b[i])) return compare(a[i], b[i]);
    return a.length - b.length;
  }
  return fail(`${typeOf(a)} and ${typeOf(b)} cannot be compared`);
}

function compareText(a: string, b: string): number {
  work((a.length + b.length) / 16);
  const [one, other] = [[...a], [...b]];
  for (let i = 0; i < Math.min(one.length, other.length); i++) {
    const difference = one[i]!.codePointAt(0)! - other[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

/** Elements that a loop goes over: those of a list, the keys of a dict, the characters of a string. */
export function iterate(value: Value): readonly Value[] {
  if (value === undefined) return [];
  if (Array.isArray(value) || typeof value === "string") work(value.length / 16);
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return [...value];
  if (value instanceof Map) {
    work(value.size / 16);
    return [...value.keys()];
  }
  return fail(`${typeOf(value)} cannot be iterated`);
}

/** What `str(value)` gives. */
export function text(value: Value): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : repr(value);
}

function repr(value: Value): string {
  if (value === undefined) return "Undefined";
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return Object.is(value, -0) ? "0" : BigInt(value).toString();
  if (typeof value === "string") return quoted(value);
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Tuple) return `(${value.map(repr).join(", ")}${value.length === 1 ? "," : ""})`;
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(", ")}}`;
  return fail(`a ${typeOf(value)} cannot be written`);
}

/** A float as Python writes it: with a point or an exponent of two digits at least. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const [digits, exponent] = value.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16))
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  if (Object.is(value, -0)) return "-0.0";
  const plain = value.toString();
  if (!plain.includes("e")) return plain.includes(".") ? plain : `${plain}.0`;
  return value.toFixed(20).replace(/0+$/, "");
}

/** A string as Python's repr quotes it. */
function quoted(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replace(/[\\\n\r\t'"]|[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\r") return "\\r";
    if (character === "\t") return "\\t";
    if (character === "\\" || character === quote) return `\\${character}`;
    if (character === "'" || character === '"') return character;
    // Marks that keep text from becoming a special token are no part of it.
    const code = character.codePointAt(0)!;
    if (code >= 0xe000 && code <= 0xf8ff) return character;
    const hex = code.toString(16);
    return code < 0x100
      ? `\\x${hex.padStart(2, "0")}`
      : code < 0x10000
        ? `\\u${hex.padStart(4, "0")}`
        : `\\U${hex.padStart(8, "0")}`;
  });
  return quote + escaped + quote;
}

/** Options of `tojson`, which are those of Python's `json.dumps`. */
export interface JsonOptions {
  readonly ensureAscii: boolean;
  /** What one level is indented by; undefined for one line. */
  readonly indent: string | undefined;
  readonly separators: readonly [item: string, key: string];
  readonly sortKeys: boolean;
}

export function json(value: Value, options: JsonOptions, depth = 0): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return repr(value);
  if (value instanceof Float) {
    if (Number.isFinite(value.value)) return floatText(value.value);
    return Number.isNaN(value.value) ? "NaN" : value.value > 0 ? "Infinity" : "-Infinity";
  }
  if (typeof value === "string") return jsonText(value, options.ensureAscii);
  const { indent, separators } = options;
  const enclose = (open: string, items: readonly string[], close: string): string => {
    if (items.length === 0 || indent === undefined) return open + items.join(separators[0]) + close;
    work(((depth + 2) * indent.length * items.length + items.reduce((sum, item) => sum + item.length, 0)) / 16);
    const line = `\n${indent.repeat(depth + 1)}`;
    return `${open}${line}${items.join(separators[0] + line)}\n${indent.repeat(depth)}${close}`;
  };
  if (Array.isArray(value))
    return enclose(
      "[",
      value.map((item) => json(item, options, depth + 1)),
      "]",
    );
  if (value instanceof Map) {
    const entries = [...value];
    if (options.sortKeys) entries.sort(([a], [b]) => compare(a, b));
    const items = entries.map(([key, item]) => {
      const name = typeof key === "string" ? key : key === undefined ? fail("a key is undefined") : json(key, options);
      return jsonText(name, options.ensureAscii) + separators[1] + json(item, options, depth + 1);
    });
    return enclose("{", items, "}");
  }
  return fail(`${typeOf(value)} cannot be written as JSON`);
}

function jsonText(value: string, ensureAscii: boolean): string {
  const plain = JSON.stringify(value);
  if (!ensureAscii) return plain;
  return plain.replace(/[\x80-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
