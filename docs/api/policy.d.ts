// Written by `npm run api`. Do not edit.

// @ziggurat/policy

export type Budget = (input: BudgetInput) => readonly (number | readonly number[])[];

export interface BudgetInput {
  readonly layers: readonly LayerShape[];
  readonly seen: number;
  readonly protectedRows: number;
}

export type Declared = Readonly<Record<string, Option>>;

export interface DefaultFrom {
  readonly option: string;
  value(of: number): number;
  readonly words: string;
}

export type Given<D extends Declared> = Flat<
  {
    readonly [K in keyof D as D[K] extends Option<unknown, false> ? K : never]: Value<D[K]>;
  } & {
    readonly [K in keyof D as D[K] extends Option<unknown, true> ? K : never]?: Value<D[K]>;
  }
>;

export type GroupReduction = (typeof groupReductions)[number];

export interface LayerShape {
  readonly layer: number;
  readonly kvHeads: number;
  readonly headSize: number;
}

export interface LayerView<C extends string = never> {
  readonly layer: number;
  readonly layerCount: number;
  readonly kvHeads: number;
  readonly queryHeads: number;
  readonly headSize: number;
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly positions: Tensor;
  readonly age: Tensor;
  readonly mass: Tensor;
  readonly observed: Tensor;
  readonly queryAge: Tensor;
  through(x: Tensor): Tensor;
  readonly columns: Readonly<Record<C, Tensor>>;
}

export interface Option<T = unknown, Optional extends boolean = boolean> {
  readonly kind: "whole" | "real" | "choice";
  readonly doc: string;
  readonly values: string;
  readonly optional: Optional;
  readonly default?: T | DefaultFrom;
  readonly choices?: readonly string[];
  readonly min?: number;
  readonly moreThan?: string;
  readonly atLeast?: string;
  check(policy: string, name: string, value: unknown): T;
}

export interface Options<D extends Declared = Declared> {
  readonly policy: string;
  readonly declared: D;
  read(given: Given<D>): Values<D>;
  least(name: keyof D & string, given: Readonly<Record<string, unknown>>): number;
}

export type OptionsOf<O> = O extends Options<infer D> ? Given<D> : never;

export interface Policy {
  readonly name: string;
  readonly budget: Budget;
  readonly score: Scorer<string>;
  readonly protect: Protection;
  readonly schedule: Schedule;
  readonly positions?: "text" | "slot";
}

export class PolicyError extends Error {
  readonly name = "PolicyError";
}

export interface Protection {
  count(seen: number): number;
  stretches?(seen: number): readonly (readonly [from: number, to: number])[];
  mask(view: LayerView): Tensor;
}

export type RandomOptions = OptionsOf<typeof randomOptions>;

export type Schedule = (step: Step) => boolean;

export interface Scorer<C extends string = never> {
  readonly watch?: number;
  readonly watchEach?: number;
  readonly columns?: readonly C[];
  observe?(view: LayerView<C>): Readonly<Record<C, Tensor>>;
  score(view: LayerView<C>): Tensor;
}

export type SinksAndRecentOptions = OptionsOf<typeof sinksAndRecentOptions>;

export interface Step {
  readonly phase: "prefill" | "decode";
  readonly layer: number;
  readonly seen: number;
  readonly rows: number;
  readonly excess: number;
  readonly sinceCompressed: number;
}

export type Values<D extends Declared> = {
  readonly [K in keyof D]: Value<D[K]>;
};

export const afterPrefill: () => Schedule;

export function anyOf(...parts: readonly [Protection, ...Protection[]]): Protection;

export function asked<T>(policy: string, part: string, answer: () => T): T;

export function blend<A extends string, B extends string>(
  a: Scorer<A>,
  b: Scorer<B>,
  weight?: number,
): Scorer<`a.${A}` | `b.${B}`>;

export function checkPolicy(policy: Policy): void;

export const computed: (option: string, value: (of: number) => number, words: string) => DefaultFrom;

export function every(n: number): Schedule;

export function first(n: number): Protection;

export function fraction(share: number): Budget;

export function freezePolicies(policies: readonly Policy[]): Policy[];

export function freezePolicy(policy: Policy): Policy;

export const full: () => Policy;

export const groupReductions: readonly ["mean", "max", "sum"];

export function last(n: number): Protection;

export function layerBudgets(
  { name, budget }: Pick<Policy, "name" | "budget">,
  input: BudgetInput,
): readonly (readonly number[])[];

export const never: () => Schedule;

export const none: Protection;

export function oneOf<const C extends string, const A extends About<NoInfer<C>>>(
  choices: readonly C[],
  about: A,
): Option<C, Optionality<A>>;

export function options<const D extends Declared>(policy: string, declared: D): Options<D>;

export function perHead(...keep: readonly number[]): Budget;

export function pin(start: number, end: number): Protection;

export function random(options: RandomOptions): Policy;

export const randomOptions: import("./options.js").Options<{
  readonly keep: import("./options.js").Option<number, false>;
  readonly seed: import("./options.js").Option<number, true>;
  readonly recent: import("./options.js").Option<number, true>;
}>;

export function randomScore(seed: number): Scorer;

export const ranking: (score: Tensor, mask: Tensor) => Tensor;

export function real<const A extends RealAbout>(about: A): Option<number, Optionality<A>>;

export const recency: Scorer;

export function sinksAndRecent(options: SinksAndRecentOptions): Policy;

export const sinksAndRecentOptions: import("./options.js").Options<{
  readonly keep: import("./options.js").Option<number, false>;
  readonly sinks: import("./options.js").Option<number, true>;
}>;

export function uniform(keep: number): Budget;

export const whenOver: () => Schedule;

export function whole<const A extends WholeAbout>(about: A): Option<number, Optionality<A>>;
