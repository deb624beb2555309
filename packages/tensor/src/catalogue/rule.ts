import type { DType } from "../dtype.js";

// How the catalogue describes an op, and the conventions that hold for every op. Tensors are row-major.
//
// Dimensions
// - `sequences` S. `tokens` n: new tokens of each sequence.
// - `queryHeads`, `kvHeads`: heads of one sequence. Query head h uses KV head floor(h / (queryHeads / kvHeads)).
// - `heads`: S x kvHeads, sequence-major.
// - `capacity`: a bound on every `length`, known to the host. It covers every row that the op sees: `length`,
//   and tokens that are appended and not yet counted. `most` covers every count.
//
// Operands
// - A `qkv` row holds the queries of queryHeads, then kvHeads keys, then kvHeads values, each of headSize numbers. Its
//   rows are sequence-major.
// - An arena holds `arenaRows` rows of K and V. Head i owns the `length[i]` rows from row `offset[i]` on.
// - `cells` are 4-byte words beside K and V, plane by plane [planes, arenaRows]. Plane 0 is the row's position in the
//   text (i32). With `ranks`, plane 1 is its rank in the cache (i32). The rest are the scorer's columns (f32).
// - `ended[s]` is not 0 for a sequence that must no longer change.
// - Row p of `table` holds the cosines, then the sines of position p's `rotary / 2` angles.
//
// For every op
// - What the meaning does not name stays as it was, in written operands too: entries from count[h] on, rows of other
//   heads, padding. Rows beyond a head's length affect nothing, NaN or not.
// - Tables that the host writes (offset, length, ranks of planes) are trusted: regions are within their operands.
//   Numbers that a policy or a text can influence are not. `keep` and `count` are clamped to [0, most], and `length`
//   to what the operands hold, wherever an op writes by them. Row numbers (`rows`) are those of `topk` or `order`.
//   Ids outside the vocabulary are treated as the op says. Positions are clamped to [0, tableRows) wherever a table of
//   angles is read.
// - A written operand overlaps no other operand, unless the meaning allows it. Operands may be slices of one buffer.
// - Rotation turns (x[j], x[j + rotary / 2]) into (x[j] cos - x[j + rotary / 2] sin, x[j + rotary / 2] cos + x[j] sin),
//   angle j of the row. Queries arrive rotated. `slot` and `rotate` rotate keys that are stored unrotated.
// - Over no rows, softmax . values is 0 and its log-sum-exp is -Infinity. Logarithms are natural.
// - NaN in gives unspecified numbers out, except in scores of `topk` and logits of `sample`.
// - In `reduce` and `pool`, an axis may be shorter than the length, because rows were reduced to one before. The axis
//   counts then.
// - Rows of 16-bit numbers hold an even count. Quantised weights start at a multiple of 16 bytes.
// - 16-bit values are rounded to nearest, ties to even. f32 beyond the f16 range becomes an infinity.
// - The tolerance applies to f32, f16 and bf16. What is written as i32 (rows, counts, cells, ids) is exact.

type Access = "read" | "write" | "update";
export type Numbers = Readonly<Record<string, number>>;
type Loose = Readonly<Record<string, number | string | boolean>>;

/** One operand of an op. */
export interface OperandRule {
  /** "write" replaces what the meaning names; "update" also reads it. */
  readonly access: Access;
  /** A dtype, or the name of one of the op's dtype parameters. */
  readonly dtype: string;
  readonly shape: (dims: Numbers) => readonly number[];
  /** The boolean attribute that must be set for the operand to be used; "!name" for one that must not be set. */
  readonly when?: string;
}

/** What is wrong with a spec, or undefined; flags that are left out are false, options 0. */
export type Requirement = (spec: Loose) => string | undefined;

type AttributeRule = "number" | "boolean" | readonly string[];

/** One op of the catalogue. */
export interface OpRule {
  /** What the op computes, one sentence a line. */
  readonly meaning: string;
  /** Whole numbers of at least 1. */
  readonly dims: readonly string[];
  /** Whole numbers of at least 0, which default to 0. */
  readonly options?: readonly string[];
  readonly dtypes: Readonly<Record<string, readonly DType[]>>;
  readonly attributes: Readonly<Record<string, AttributeRule>>;
  readonly operands: Readonly<Record<string, OperandRule>>;
  /** How dimensions, options and attributes must fit together, so that no kernel leaves its operands. */
  readonly requires?: readonly Requirement[];
  /**
   * Greatest error allowed against the float64 reference, as |a - b| <= tolerance x (1 + |b|), per dtype of the spec's
   * first dtype parameter; 0 is exact.
   */
  readonly tolerance: Readonly<Partial<Record<DType, number>>>;
}

type Operand<A extends Access, D extends string, W extends string | undefined> = OperandRule & {
  readonly access: A;
  readonly dtype: D;
  readonly when: W;
};

const operand =
  <const A extends Access>(access: A) =>
  <const D extends string, const W extends string | undefined = undefined>(
    dtype: D,
    shape: (dims: Numbers) => readonly number[],
    when?: W,
  ) =>
    ({ access, dtype, shape, ...(when === undefined ? {} : { when }) }) as unknown as Operand<A, D, W>;

export const read = operand("read");
export const write = operand("write");
export const update = operand("update");

/** Keeps the literal types of an op's rule. */
export const op = <const R extends OpRule>(rule: R): R => rule;

/** Sentences of a meaning. */
export const lines = (...sentences: readonly string[]): string => sentences.join("\n");

// Requirements that several ops share.

/** Every KV head has as many query heads. */
export const grouped: Requirement = ({ queryHeads, kvHeads }) =>
  Number(queryHeads) % Number(kvHeads) === 0
    ? undefined
    : `queryHeads is ${queryHeads}; it must be a multiple of kvHeads, ${kvHeads}`;

/** Rotation stays within a row of `size` numbers, and the table has a row. `flag`: the attribute that asks for it. */
export const rotated =
  (size: string, flag?: string): Requirement =>
  (spec) => {
    if (flag !== undefined && spec[flag] !== true) return undefined;
    const [rotary, most] = [Number(spec.rotary), Number(spec[size])];
    if (rotary % 2 !== 0 || rotary > most) return `rotary is ${rotary}; it must be even and at most ${size}, ${most}`;
    return Number(spec.tableRows) >= 1 ? undefined : "tableRows is 0; it must be a whole number of at least 1";
  };

/** There is a plane 1 for the ranks that `flag` asks for. */
export const ranked =
  (flag: string): Requirement =>
  (spec) =>
    spec[flag] !== true || Number(spec.planes) >= 2
      ? undefined
      : `planes is ${spec.planes}; with ${flag} it must be at least 2, as ranks are plane 1`;

/** Each axis of operand `letter` is 1 or as long as that of the result, unless `literal` takes its place. */
export const broadcast =
  (letter: string, literal?: string): Requirement =>
  (spec) => {
    if (literal !== undefined && spec[literal] === true) return undefined;
    const axis = [0, 1, 2].find((n) => spec[`${letter}${n}`] !== 1 && spec[`${letter}${n}`] !== spec[`d${n}`]);
    if (axis === undefined) return undefined;
    return `${letter}${axis} is ${spec[`${letter}${axis}`]}; it must be 1 or d${axis}, ${spec[`d${axis}`]}`;
  };

// Shapes that several ops share.
export const qkv = (d: Numbers) => [d.sequences! * d.tokens!, (d.queryHeads! + 2 * d.kvHeads!) * d.headSize!];
export const heads = (d: Numbers) => [d.heads!];
export const sequenceHeads = (d: Numbers) => [d.sequences! * d.kvHeads!];
export const sequences = (d: Numbers) => [d.sequences!];
export const arena = (d: Numbers) => [d.arenaRows!, d.headSize!];
export const cells = (d: Numbers) => [d.planes!, d.arenaRows!];
export const table = (d: Numbers) => [d.tableRows!, d.rotary!];
export const grid = (d: Numbers) => [d.heads!, d.capacity!];
