import type { Slice } from "./buffer.js";
import { attention } from "./catalogue/attention.js";
import { model } from "./catalogue/model.js";
import { rows } from "./catalogue/rows.js";
import type { Numbers, OperandRule, OpRule } from "./catalogue/rule.js";
import { tensor } from "./catalogue/tensor.js";
import { bytesOf, type DType } from "./dtype.js";

export type { OperandRule, OpRule };

/**
 * Every op: its dimensions, dtypes, attributes, operands, meaning and tolerance, as data. `catalogue/rule.ts` states
 * the conventions. The float64 reference (`reference/<op>.ts`) gives the meaning in code, and a backend has one kernel
 * file per op, of the same name.
 */
export const catalogue = { ...model, ...attention, ...rows, ...tensor } as const satisfies Record<string, OpRule>;

type Catalogue = typeof catalogue;
export type OpName = keyof Catalogue;

type AttributeValue<A> = A extends "number"
  ? number
  : A extends "boolean"
    ? boolean
    : A extends readonly (infer K)[]
      ? K
      : never;
type Options<R> = R extends { options: readonly (infer K extends string)[] } ? { readonly [P in K]?: number } : unknown;
/** A boolean attribute defaults to false. */
type Flags<A> = { readonly [K in keyof A as A[K] extends "boolean" ? K : never]?: boolean };
type Values<A> = { readonly [K in keyof A as A[K] extends "boolean" ? never : K]: AttributeValue<A[K]> };
type SpecOf<R extends OpRule> = { readonly [K in R["dims"][number]]: number } & {
  readonly [K in keyof R["dtypes"]]: R["dtypes"][K][number];
} & Values<R["attributes"]> &
  Flags<R["attributes"]> &
  Options<R>;

/** Dimensions, dtypes and attributes of one op. */
export type Spec<N extends OpName> = SpecOf<Catalogue[N]>;

type OperandsOf<R extends OpRule> = {
  readonly [K in keyof R["operands"] as R["operands"][K] extends { when: string } ? never : K]: Slice;
} & { readonly [K in keyof R["operands"] as R["operands"][K] extends { when: string } ? K : never]?: Slice };

/** The buffers of one op, by operand. */
export type Operands<N extends OpName> = OperandsOf<Catalogue[N]>;

export const opNames = Object.keys(catalogue) as readonly OpName[];

/** Bytes that an operand must hold under a spec. */
export function operandBytes(rule: OperandRule, dtypes: Readonly<Record<string, DType>>, dims: Numbers): number {
  return bytesOf((dtypes[rule.dtype] ?? rule.dtype) as DType, rule.shape(dims));
}
