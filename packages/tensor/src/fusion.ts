import type { Kernel } from "./backend.js";
import type { Slice } from "./buffer.js";
import { catalogue, type OperandRule, type OpName, type OpRule, operandBytes } from "./catalogue.js";
import { operandIsUsed } from "./check.js";
import type { DType } from "./dtype.js";

// Fusion of recorded programs: which neighbouring dispatches a backend may run as one kernel. The plain ops remain the
// meaning: after a group has run, every byte that can be observed is as if its dispatches had run in order.

/** A recorded dispatch. */
export interface Dispatch {
  readonly kernel: Kernel;
  readonly operands: Readonly<Record<string, Slice | undefined>>;
}

export type Fusion = keyof typeof patterns | "advances";

/** Dispatches that follow each other; `fusion` names the pattern that they match, if any. */
export interface Group<D extends Dispatch> {
  readonly fusion: Fusion | undefined;
  readonly dispatches: readonly D[];
}

type Spec = Readonly<Record<string, unknown>>;

interface Pattern {
  readonly ops: readonly OpName[];
  /** Pairs of operands, by step, that must be the same bytes. */
  readonly same: readonly (readonly [step: number, operand: string, otherStep: number, otherOperand: string])[];
  /** Results that the group does not write: nothing may read them later. */
  readonly dropped: readonly (readonly [step: number, operand: string])[];
  readonly when?: (specs: readonly Spec[]) => boolean;
}

/** The result of the first op is x of the second. */
const chained = [0, "out", 1, "x"] as const;

/** Longer patterns come before their beginnings. */
const patterns = {
  normLinearRopeAppend: {
    ops: ["rmsNorm", "linear", "rope", "append"],
    same: [chained, [1, "out", 2, "qkv"], [2, "qkv", 3, "qkv"]],
    dropped: [[0, "out"]],
    when: ([, linear, rope, append]) =>
      rope!.tokens === 1 &&
      append!.tokens === 1 &&
      rope!.sequences === linear!.rows &&
      rope!.rotary === rope!.headSize &&
      append!.keys === true &&
      append!.values === true &&
      append!.cells === true &&
      linear!.residual !== true,
  },
  normLinearGated: {
    ops: ["rmsNorm", "linear", "gatedActivation"],
    same: [chained, [1, "out", 2, "x"]],
    dropped: [
      [0, "out"],
      [1, "out"],
    ],
    when: ([, linear]) => linear!.residual !== true,
  },
  normLinear: { ops: ["rmsNorm", "linear"], same: [chained], dropped: [[0, "out"]] },
  gatedLinear: { ops: ["gatedActivation", "linear"], same: [chained], dropped: [[0, "out"]] },
} as const satisfies Record<string, Pattern>;

/** Ops whose results are written completely. */
const complete: ReadonlySet<OpName> = new Set([
  "embed",
  "rmsNorm",
  "linear",
  "gatedActivation",
  "binary",
  "unary",
  "copy",
]);

interface Range {
  readonly name: string;
  readonly access: OperandRule["access"];
  readonly slice: Slice;
  readonly bytes: number;
}

/** The bytes of every operand of a dispatch. */
function rangesOf({ kernel, operands }: Dispatch): readonly Range[] {
  const rule: OpRule = catalogue[kernel.op];
  const spec = kernel.spec as unknown as Readonly<Record<string, number>> & Readonly<Record<string, DType>>;
  return Object.entries<OperandRule>(rule.operands)
    .filter(([name, operand]) => operandIsUsed(operand.when, spec) && operands[name])
    .map(([name, operand]) => ({
      name,
      access: operand.access,
      slice: operands[name]!,
      bytes: operandBytes(operand, spec, spec),
    }));
}
const overlap = (a: Range, b: Range) =>
  a.slice.buffer === b.slice.buffer &&
  a.slice.offset < b.slice.offset + b.bytes &&
  b.slice.offset < a.slice.offset + a.bytes;
const covers = (a: Range, b: Range) =>
  a.slice.offset <= b.slice.offset && a.slice.offset + a.bytes >= b.slice.offset + b.bytes;
const sameSlice = (a: Slice | undefined, b: Slice | undefined) =>
  a !== undefined && b !== undefined && a.buffer === b.buffer && a.offset === b.offset;

/**
 * Splits recorded dispatches into groups, in order. A group matches the longest pattern that applies and that `accepts`
 * approves; a dispatch that matches none is a group by itself. `accepts`: whether the backend has a kernel for a group.
 */
export function fuse<D extends Dispatch>(
  dispatches: readonly D[],
  accepts: (fusion: keyof typeof patterns, dispatches: readonly D[]) => boolean = () => true,
): readonly Group<D>[] {
  const ranges = dispatches.map(rangesOf);
  /** Whether dispatches from `from` on overwrite these bytes before one reads them. */
  const isDropped = (range: Range, from: number): boolean => {
    for (let i = from; i < dispatches.length; i++) {
      const touched = ranges[i]!.filter((other) => overlap(other, range));
      if (touched.some(({ access }) => access !== "write")) return false;
      if (touched.length > 0)
        return complete.has(dispatches[i]!.kernel.op) && touched.some((other) => covers(other, range));
    }
    return false;
  };
  const matches = (pattern: Pattern, first: number): boolean => {
    const { ops, same, dropped, when } = pattern;
    if (ops.some((op, i) => dispatches[first + i]?.kernel.op !== op)) return false;
    const operand = (step: number, name: string) => ranges[first + step]!.find((range) => range.name === name);
    if (!same.every(([a, x, b, y]) => sameSlice(operand(a, x)?.slice, operand(b, y)?.slice))) return false;
    const specs = ops.map((_, i) => dispatches[first + i]!.kernel.spec as unknown as Spec);
    if (when && !when(specs)) return false;
    // One kernel reads and writes in no order, so results may not overlap other operands of the group.
    const linked = (step: number, name: string) =>
      same.some(([a, x, b, y]) => (a === step && x === name) || (b === step && y === name));
    const own = ops.map((_, step) => ranges[first + step]!);
    const conflict = own.some((results, i) =>
      results.some(
        (result) =>
          result.access !== "read" &&
          own.some((others, k) => k !== i && others.some((other) => !linked(k, other.name) && overlap(result, other))),
      ),
    );
    if (conflict) return false;
    return dropped.every(([step, name]) => isDropped(operand(step, name)!, first + ops.length));
  };
  const groups: Group<D>[] = [];
  for (let first = 0; first < dispatches.length; ) {
    let count = advancesFrom(dispatches, first);
    let fusion: Fusion | undefined = count > 1 ? "advances" : undefined;
    if (count === 1) {
      const found = Object.entries<Pattern>(patterns).find(
        ([name, pattern]) =>
          matches(pattern, first) &&
          accepts(name as keyof typeof patterns, dispatches.slice(first, first + pattern.ops.length)),
      );
      fusion = found?.[0] as Fusion | undefined;
      count = found?.[1].ops.length ?? 1;
    }
    groups.push({ fusion, dispatches: dispatches.slice(first, first + count) });
    first += count;
  }
  return groups;
}

/**
 * The count of dispatches of `advance` from `first` on that are one `advance` with another `repeat` or more sequences,
 * see
 * {@link joinedAdvances}; at least 1.
 */
function advancesFrom(dispatches: readonly Dispatch[], first: number): number {
  const { kernel, operands } = dispatches[first]!;
  if (kernel.op !== "advance") return 1;
  const { sequences, width, by, repeat } = kernel.spec as Kernel<"advance">["spec"];
  const [counter, ended] = [operands.counter!, operands.ended!];
  let [count, end] = [0, counter.offset];
  // The first pass over `ended` says how many sequences there are; later passes repeat it.
  let all: number | undefined;
  let place = 0;
  for (; first + count < dispatches.length; count++) {
    const next = dispatches[first + count]!;
    if (next.kernel.op !== "advance") break;
    const other = next.kernel.spec as Kernel<"advance">["spec"];
    const isLike = other.sequences === sequences && other.width === width && other.by === by && other.repeat === repeat;
    if (!isLike || !sameSlice(next.operands.counter, { buffer: counter.buffer, offset: end })) break;
    if (sameSlice(next.operands.ended, ended) && count > 0) {
      all ??= count;
      if (place !== all) break;
      place = 0;
    }
    if (!sameSlice(next.operands.ended, { buffer: ended.buffer, offset: ended.offset + 4 * place * sequences })) break;
    if (repeat > 1 && place > 0) break;
    place++;
    end += 4 * repeat * sequences * width;
  }
  // Whole passes only.
  return Math.max(1, all === undefined ? count : count - (count % all));
}

/** The one `advance` that a group of fusion "advances" amounts to; its operands are those of the first dispatch. */
export function joinedAdvances(dispatches: readonly Dispatch[]): Kernel<"advance">["spec"] {
  const specs = dispatches.map(({ kernel }) => kernel.spec as Kernel<"advance">["spec"]);
  const { sequences, width, by, repeat } = specs[0]!;
  const again = dispatches.findIndex(
    ({ operands }, i) => i > 0 && sameSlice(operands.ended, dispatches[0]!.operands.ended),
  );
  const pass = again < 0 ? dispatches.length : again;
  return { repeat: (repeat * dispatches.length) / pass, sequences: sequences * pass, width, by };
}
