import type { Operands, OpName, Spec } from "@ziggurat/tensor";
import type { Random } from "./random.js";

/** Numbers of each operand, row-major; bytes for quantised weights. Operands that are left out hold noise. */
export type Inputs<N extends OpName> = { readonly [K in keyof Operands<N>]?: ArrayLike<number> };

export interface CaseOf<N extends OpName> {
  /** The purpose of this case, if its spec does not show it. */
  readonly about?: string;
  readonly spec: Spec<N>;
  readonly inputs: (random: Random) => Inputs<N>;
  /** Operands that share the place of another: `{ residual: "out" }`. */
  readonly alias?: { readonly [K in keyof Operands<N>]?: keyof Operands<N> };
  /** The error allowed at an element of a written operand is tolerance x this. Default: 1 + |expected|. */
  readonly magnitude?: (inputs: Inputs<N>, index: number) => number;
}

/** One run of one op on one set of operands, compared with the reference. */
export interface Case {
  readonly op: OpName;
  readonly name: string;
  readonly spec: Readonly<Record<string, number | string | boolean | undefined>>;
  readonly inputs: (random: Random) => Readonly<Record<string, ArrayLike<number> | undefined>>;
  readonly alias: Readonly<Record<string, string | undefined>>;
  readonly magnitude?: (inputs: Readonly<Record<string, ArrayLike<number> | undefined>>, index: number) => number;
}

/** Cases of one op. */
export function casesOf<N extends OpName>(op: N, cases: readonly CaseOf<N>[]): readonly Case[] {
  return cases.map(({ about, spec, alias, ...rest }) => {
    const words = Object.entries(spec).filter(([, value]) => value !== undefined && value !== false);
    const name = [
      op,
      ...(about ? [`(${about})`] : []),
      ...words.map(([key, value]) => (value === true ? key : `${key}=${value}`)),
    ].join(" ");
    return { op, name, spec, alias: alias ?? {}, ...rest } as unknown as Case;
  });
}
