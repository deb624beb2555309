import { checkOneOf, checkWhole, refuse, show } from "./check.js";
import { PolicyError } from "./error.js";

// The options of a policy, declared once: checks, defaults, types, command-line flags and tables come from here.

/** A default that follows from another option. */
export interface DefaultFrom {
  readonly option: string;
  value(of: number): number;
  /** The same in words: "half of `keep`". */
  readonly words: string;
}

/** One option of a policy. `Optional`: it has a default and may be left out. */
export interface Option<T = unknown, Optional extends boolean = boolean> {
  readonly kind: "whole" | "real" | "choice";
  /** What it means, in one line without a full stop. */
  readonly doc: string;
  /** Which values it takes, in words: "whole, at least 1". */
  readonly values: string;
  readonly optional: Optional;
  readonly default?: T | DefaultFrom;
  /** What a `choice` can be. */
  readonly choices?: readonly string[];
  /** The least number, without regard to other options. */
  readonly min?: number;
  /** Another option of the same policy that this one must exceed. */
  readonly moreThan?: string;
  /** Another option of the same policy that this one must reach. */
  readonly atLeast?: string;
  /** Returns `value` if the option can have it. Throws a PolicyError that names `policy` and `name` otherwise. */
  check(policy: string, name: string, value: unknown): T;
}

interface About<T> {
  readonly doc: string;
  /** The value of an option that is left out. An option without a default is required. */
  readonly default?: T | DefaultFrom;
}

interface WholeAbout extends About<number> {
  readonly min: number;
  /** Default: the most that a device counts, 2147483647. */
  readonly max?: number;
  readonly moreThan?: string;
  readonly atLeast?: string;
  /** Whether only odd numbers will do: the size of a neighbourhood with a middle. */
  readonly odd?: boolean;
}

interface RealAbout extends About<number> {
  readonly min: number;
  /** Default: no bound. */
  readonly max?: number;
}

type Optionality<A> = A extends { readonly default: unknown } ? true : false;

/** A default computed from another option, which must be declared before. `words` says the same in a table. */
export const computed = (option: string, value: (of: number) => number, words: string): DefaultFrom => ({
  option,
  value,
  words,
});

/** A whole number. `moreThan` and `atLeast` name another option of the policy that bounds it. */
export function whole<const A extends WholeAbout>(about: A): Option<number, Optionality<A>> {
  const { min, max, odd, moreThan, atLeast } = about as WholeAbout;
  const bounds = [
    max === undefined ? (min > 0 && moreThan ? [] : [`at least ${min}`]) : [`from ${min} to ${max}`],
    odd ? ["odd"] : [],
    moreThan ? [`more than \`${moreThan}\``] : [],
    atLeast ? [`at least \`${atLeast}\``] : [],
  ];
  return {
    ...(about as WholeAbout),
    kind: "whole",
    values: ["whole", ...bounds.flat()].join(", "),
    optional: ("default" in about) as Optionality<A>,
    check(policy, name, value) {
      const number = checkWhole(policy, name, value, min, max);
      if (odd && number % 2 === 0)
        refuse(policy, name, number, "odd, so that a row lies in the middle of its neighbours");
      return number;
    },
  };
}

/** A finite number. */
export function real<const A extends RealAbout>(about: A): Option<number, Optionality<A>> {
  const { min, max } = about as RealAbout;
  const range = max === undefined ? `at least ${min}` : `from ${min} to ${max}`;
  return {
    ...(about as RealAbout),
    kind: "real",
    values: range,
    optional: ("default" in about) as Optionality<A>,
    check: (policy, name, value) =>
      typeof value === "number" && value >= min && value <= (max ?? Number.MAX_VALUE)
        ? value
        : refuse(policy, name, value, max === undefined ? `a finite number of ${range}` : `a number ${range}`),
  };
}

/** One of some words. */
export function oneOf<const C extends string, const A extends About<NoInfer<C>>>(
  choices: readonly C[],
  about: A,
): Option<C, Optionality<A>> {
  return {
    ...(about as About<C>),
    kind: "choice",
    choices,
    values: choices.map((choice) => `\`"${choice}"\``).join(", "),
    optional: ("default" in about) as Optionality<A>,
    check: (policy, name, value) => checkOneOf(policy, name, value, choices),
  };
}

/** Options by name. */
export type Declared = Readonly<Record<string, Option>>;

type Value<O> = O extends Option<infer T, boolean> ? T : never;
type Flat<T> = { [K in keyof T]: T[K] };

/** What a caller gives: options with a default may be left out. */
export type Given<D extends Declared> = Flat<
  { readonly [K in keyof D as D[K] extends Option<unknown, false> ? K : never]: Value<D[K]> } & {
    readonly [K in keyof D as D[K] extends Option<unknown, true> ? K : never]?: Value<D[K]>;
  }
>;

/** Every option with its value. */
export type Values<D extends Declared> = { readonly [K in keyof D]: Value<D[K]> };

/** The options of one policy. */
export interface Options<D extends Declared = Declared> {
  /** The policy, or part of one, that errors name. */
  readonly policy: string;
  readonly declared: D;
  /**
   * Checks what a caller gave and fills in defaults. Throws a PolicyError for an unknown name, a value out of range or
   * two options that do not go together.
   */
  read(given: Given<D>): Values<D>;
  /**
   * The least value of a whole-number option beside the other options given, such as `window + 1` rows. Throws like
   * `read` if one of those is out of range.
   */
  least(name: keyof D & string, given: Readonly<Record<string, unknown>>): number;
}

/** What a caller gives to a policy with these options. */
export type OptionsOf<O> = O extends Options<infer D> ? Given<D> : never;

/** Declares the options of `policy`. Throws a TypeError if one refers to an option that is not declared before it. */
export function options<const D extends Declared>(policy: string, declared: D): Options<D> {
  const entries = Object.entries(declared);
  const names = entries.map(([name]) => name);
  for (const [name, option] of entries) {
    const source = fromOf(option)?.option;
    const before = source === undefined || names.slice(0, names.indexOf(name)).includes(source);
    const bounds = [option.moreThan, option.atLeast].filter((other) => other !== undefined);
    if (!before || !bounds.every((other) => names.includes(other)))
      throw new TypeError(`${policy}: the declaration of ${name} refers to an option that it does not have`);
  }
  const read = (given: Readonly<Record<string, unknown>>): Record<string, unknown> => {
    checkNames(policy, given, names);
    const values: Record<string, unknown> = {};
    for (const [name, option] of entries) {
      const from = fromOf(option);
      const value = given[name] ?? (from ? from.value(values[from.option] as number) : option.default);
      values[name] = option.check(policy, name, value);
    }
    for (const [name, { moreThan, atLeast }] of entries) {
      const value = values[name] as number;
      if (moreThan !== undefined && value <= (values[moreThan] as number))
        refuse(policy, name, value, `more than ${moreThan}, ${values[moreThan]}`);
      if (atLeast !== undefined && value < (values[atLeast] as number))
        refuse(policy, name, value, `at least ${atLeast}, ${values[atLeast]}`);
    }
    return values;
  };
  const least = (name: string, given: Readonly<Record<string, unknown>>): number => {
    const { min = 0, moreThan, atLeast } = declared[name]!;
    const bound = (other: string | undefined, more: number): number => {
      const option = other === undefined ? undefined : declared[other];
      if (option === undefined) return min;
      // A default that follows from this very option bounds nothing.
      const value = given[other!] ?? (fromOf(option) ? undefined : option.default);
      return value === undefined ? min : (option.check(policy, other!, value) as number) + more;
    };
    return Math.max(min, bound(moreThan, 1), bound(atLeast, 0));
  };
  return { policy, declared, read: read as Options<D>["read"], least };
}

const fromOf = ({ default: given }: Option): DefaultFrom | undefined =>
  typeof given === "object" && given !== null ? (given as DefaultFrom) : undefined;

/** A misspelt option must not be lost. */
function checkNames(policy: string, given: unknown, names: readonly string[]): void {
  const list = names.join(", ") || "none";
  if (typeof given !== "object" || given === null) refuse(policy, "options", given, `an object with ${list}`);
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) throw new PolicyError(`${policy}: no option is called ${show(name)}; there are ${list}`);
  }
}
