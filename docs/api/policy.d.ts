// Written by `npm run api`. Do not edit.

// @ziggurat/policy

export type Budget = (input: BudgetInput) => readonly (number | readonly number[])[];

export interface BudgetInput {
  readonly layers: readonly LayerShape[];
  readonly seen: number;
  readonly protectedRows: number;
}

export type GroupReduction = (typeof groupReductions)[number];

export interface LayerShape {
  readonly kind: "global" | "sliding";
  readonly kvHeads: number;
  readonly headSize: number;
}

export interface LayerView {
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
  readonly columns: readonly Tensor[];
}

export interface Policy {
  readonly name: string;
  readonly budget: Budget;
  readonly score: Scorer;
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

export interface RandomOptions {
  readonly keep: number;
  readonly seed?: number;
  readonly recent?: number;
}

export type Schedule = (step: Step) => boolean;

export interface Scorer {
  readonly watch?: number;
  readonly columns?: number;
  observe?(view: LayerView): readonly Tensor[];
  score(view: LayerView): Tensor;
}

export interface SinksAndRecentOptions {
  readonly keep: number;
  readonly sinks?: number;
}

export interface Step {
  readonly phase: "prefill" | "decode";
  readonly layer: number;
  readonly seen: number;
  readonly rows: number;
  readonly excess: number;
  readonly sinceCompressed: number;
}

export const afterPrefill: () => Schedule;

export function anyOf(...parts: readonly [Protection, ...Protection[]]): Protection;

export function blend(a: Scorer, b: Scorer, weight?: number): Scorer;

export function checkOneOf<const T extends string>(
  policy: string,
  option: string,
  value: unknown,
  allowed: readonly T[],
): T;

export function checkOptions<T extends object>(policy: string, options: T, known: readonly (keyof T & string)[]): void;

export function checkPolicy(policy: Policy): void;

export function checkWhole(policy: string, option: string, value: unknown, least: number, most?: number): number;

export function every(n: number): Schedule;

export function first(n: number): Protection;

export function fraction(share: number): Budget;

export const full: () => Policy;

export const groupReductions: readonly ["mean", "max", "sum"];

export function last(n: number): Protection;

export function layerBudgets({ name, budget }: Pick<Policy, "name" | "budget">, input: BudgetInput): number[][];

export const never: () => Schedule;

export const none: Protection;

export function perHead(...keep: readonly number[]): Budget;

export function pin(start: number, end: number): Protection;

export function random(options: RandomOptions): Policy;

export function randomScore(seed: number): Scorer;

export const ranking: (score: Tensor, mask: Tensor) => Tensor;

export const recency: Scorer;

export function refuse(policy: string, option: string, value: unknown, right: string): never;

export function sinksAndRecent(options: SinksAndRecentOptions): Policy;

export function uniform(keep: number): Budget;

export const whenOver: () => Schedule;
