import type { Operands, OpName, Spec } from "@ziggurat/tensor";
import type { Random } from "./random.js";

/** Numbers of each operand, row-major; bytes as they lie for quantised weights. Operands left out start as noise. */
export type Inputs<N extends OpName> = { readonly [K in keyof Operands<N>]?: ArrayLike<number> };

export interface CaseOf<N extends OpName> {
  /** What this case is about, where its spec does not say. */
  readonly about?: string;
  readonly spec: Spec<N>;
  readonly inputs: (random: Random) => Inputs<N>;
  /** Operands that lie where another one does: `{ residual: "out" }`. */
  readonly alias?: { readonly [K in keyof Operands<N>]?: keyof Operands<N> };
  /** Greatest error allowed is tolerance x this, at an element of a written operand. Default: 1 + |expected|. */
  readonly magnitude?: (inputs: Inputs<N>, index: number) => number;
}

/** One run of one op on one set of operands, held against the reference. */
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
