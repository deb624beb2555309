import { type Fusion, isQuantised, type WeightDType } from "@ziggurat/tensor";
import { type Argument, at, float, int, over, threadsFor, type Work } from "../launch.js";
import { outsPerBlock, perLoad } from "./linear.js";

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
  const loads = width! / perLoad[weight];
  const few = [1, 2, 4].find((count) => rows! <= count) ?? 8;
  const each = isQuantised(weight) ? 2 : 4;
  return {
    launches: [
      {
        file: `fused-${name.replace("_", "-")}`,
        kernel: `${name}_${weight}_${few}`,
        grid: [blocks, over(rows!, few)],
        threads: threadsFor(loads <= 256 ? loads : over(loads, each), 256),
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

/** Whether the GEMV kernels support a product: few rows, and widths of whole loads. */
const isFew = ({ rows, width, weight }: FusedSpec) => rows! <= 8 && Number.isInteger(width! / perLoad[weight]);
const kvCode = { f32: 0, f16: 1, bf16: 2 } as const;

/**
 * The launches of a group, by fusion; undefined if the kernels do not support it. All operands start at multiples of 16
 * bytes.
 */
export const fusedPlans: Readonly<Record<Fusion, (specs: readonly FusedSpec[]) => Work | undefined>> = {
  normLinear(specs) {
    const linear = specs[1]!;
    if (!isFew(linear)) return undefined;
    const blocks = over(linear.out!, outsPerBlock);
    return gemv("norm_linear", specs, blocks, ["1.residual", "1.out"], int(linear.out!));
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

  /** Counters that follow each other are one `advance`. */
  advances(specs) {
    const { sequences, width, by } = specs[0]!;
    const elements = specs.reduce((sum, { repeat }) => sum + repeat! * sequences! * width!, 0);
    return {
      launches: [
        {
          ...{ file: "advance", kernel: "advance", grid: [over(elements, 256)], threads: 256 },
          args: [at("0.counter"), at("0.ended"), ...int(elements, sequences!, width!, by!)],
        },
      ],
    };
  },
};
