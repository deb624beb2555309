import type { Fusion, Spec, WeightDType } from "@ziggurat/tensor";
import {
  type Argument,
  at,
  float,
  int,
  type Launch,
  over,
  type Place,
  scratch,
  threadsFor,
  type Work,
} from "../launch.js";
import { fewOf, linear, outsPerBlock, perLoad } from "./linear.js";

// Groups of dispatches that run as one launch. Operands are named "step.operand".

/** The spec of any op, with the names of its dtypes and kinds. */
export type FusedSpec = Readonly<Record<string, number>> & {
  readonly weight: WeightDType;
  readonly kv: "f32" | "f16" | "bf16";
  readonly kind: string;
};

/** A GEMV with an RMS norm before it; `rest`: the arguments after x, the gain and the weights. */
function gemv(
  name: string,
  [norm, linear]: readonly FusedSpec[],
  blocks: number,
  addresses: readonly string[],
  scalars: readonly Argument[],
): Work {
  const { rows, width, weight } = linear!;
  const { few, threads, shared } = fewOf({ rows: rows!, width: width!, weight });
  return {
    launches: [
      {
        file: `fused-${name.replace("_", "-")}`,
        kernel: `${name}_${weight}_${few}`,
        grid: [blocks, over(rows!, few)],
        threads,
        shared,
        args: [
          ...["0.x", "0.weight", "1.weight", "1.bias", ...addresses].map((operand) => at(operand)),
          ...int(rows!, width!),
          ...scalars,
          ...float(norm!.epsilon!),
        ],
      },
    ],
  };
}

/**
 * A product on tensor cores after `first`, which rounds x in place of `linear`; undefined if `linear` rounds nothing.
 */
function product(spec: FusedSpec, place: Place, first: Launch): Work | undefined {
  const { launches, ...rest } = linear(spec as unknown as Required<Spec<"linear">>, place);
  const [round, ...others] = launches;
  if (!round || "product" in round || round.kernel !== `linear_round_${spec.weight}`) return undefined;
  const renamed = others.map((launch) => ({
    ...launch,
    args: launch.args.map((argument) =>
      "operand" in argument && argument.operand !== scratch
        ? { ...argument, operand: `1.${argument.operand}` }
        : argument,
    ),
  }));
  return { ...rest, launches: [first, ...renamed] };
}

/** Whether the GEMV kernels support a product: few rows, and widths of whole loads. */
const isFew = ({ rows, width, weight }: FusedSpec) => rows! <= 8 && Number.isInteger(width! / perLoad[weight]);
const kvCode = { f32: 0, f16: 1, bf16: 2 } as const;

/**
 * The launches of a group, by fusion; undefined if the kernels do not support it. All operands start at multiples of 16
 * bytes.
 */
export const fusedPlans: Readonly<
  Record<Exclude<Fusion, "advances">, (specs: readonly FusedSpec[], place: Place) => Work | undefined>
> = {
  normLinear(specs, place) {
    const [norm, linear] = specs as [FusedSpec, FusedSpec];
    const { rows, width, weight } = linear;
    if (rows! > 8) {
      return product(linear, place, {
        ...{ file: "fused-round", kernel: `norm_round_${weight}`, grid: [rows!] },
        threads: threadsFor(over(width!, 8), 1024),
        args: [at("0.x"), at("0.weight"), at(scratch), ...int(width!), ...float(norm.epsilon!)],
      });
    }
    if (!isFew(linear)) return undefined;
    const blocks = over(linear.out!, outsPerBlock);
    return gemv("norm_linear", specs, blocks, ["1.residual", "1.out"], int(linear.out!));
  },

  gatedLinear(specs, place) {
    const [gated, linear] = specs as [FusedSpec, FusedSpec];
    const { rows, width, weight } = linear;
    return product(linear, place, {
      ...{ file: "fused-round", kernel: `gated_round_${weight}`, grid: [over(width!, 8 * 256), rows!], threads: 256 },
      args: [at("0.x"), at(scratch), ...int(width!, gated.kind === "gelu")],
    });
  },

  normLinearGated(specs) {
    const [, linear, gated] = specs as [FusedSpec, FusedSpec, FusedSpec];
    const half = gated.width!;
    if (!isFew(linear) || half % 2 !== 0) return undefined;
    return gemv("gated_linear", specs, half / 2, ["2.out"], int(half, gated.kind === "gelu"));
  },

  normLinearRopeAppend(specs) {
    const [, linear, rope, append] = specs as [FusedSpec, FusedSpec, FusedSpec, FusedSpec];
    const { queryHeads, kvHeads, headSize, tableRows, keys } = rope;
    if (!isFew(linear) || headSize! % 4 !== 0) return undefined;
    const operands = ["2.table", "1.out", "3.keys", "3.values", "3.cells", "2.base", "3.offset", "3.length", "3.seen"];
    const numbers = int(queryHeads!, kvHeads!, headSize!, tableRows!, keys ?? false, append.arenaRows!, append.planes!);
    const scalars = [...numbers, ...int(kvCode[append.kv], append.ranks ?? false)];
    return gemv("rope_linear", specs, linear.out! / 4, [...operands, "3.ended"], scalars);
  },
};
