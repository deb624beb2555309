import { isQuantised, type WeightDType } from "@ziggurat/tensor";
import { at, int, type Launch, over, type Plan, scratch, threadsFor } from "../launch.js";

/** Count of weights in 16 bytes. */
export const perLoad = { f32: 4, f16: 8, bf16: 8, q8_0: 16, q4_0: 32, q4_1: 32 } as const;
export const outsPerBlock = 4;

/** A tile kernel: rows of a tile, threads, bytes of shared memory, blocks per multiprocessor. */
interface Tile {
  readonly rows: number;
  readonly threads: number;
  readonly shared: number;
  readonly blocks: number;
}
const outsPerTile = 128;
/** Bytes of the weights of one stage: 64 numbers of each of 128 rows; rows of quants are padded by 16 bytes. */
const weightBytes = { f16: 128 * 128, bf16: 128 * 128, q8_0: 128 * 80, q4_0: 128 * 48, q4_1: 128 * 48 } as const;

function tilesOf(weight: keyof typeof weightBytes): readonly Tile[] {
  const stage = (rows: number) => weightBytes[weight] + rows * 128;
  const narrow = (rows: number): Tile => ({ rows, threads: 128, shared: 4 * stage(rows), blocks: 2 });
  if (isQuantised(weight))
    return [narrow(16), narrow(64), { rows: 128, threads: 256, shared: 4 * stage(128), blocks: 1 }];
  return [
    ...[narrow(16), narrow(32), narrow(64)],
    { rows: 128, threads: 256, shared: 3 * stage(128), blocks: 2 },
    // Stages of 32 numbers.
    { rows: 256, threads: 256, shared: 4 * (128 + 256) * 64, blocks: 1 },
  ];
}

/** Bytes of workspace for cuBLASLt: the recommendation of NVIDIA for compute capability 9.0. */
const workspace = 32 * 2 ** 20;
/** Measured: for other counts of rows, the kernels of this package are as fast. */
const forCublasLt = (rows: number) => rows > 128 || (rows > 16 && rows <= 64);

/** The GEMV kernel for a product: rows per block, threads, and bytes of shared memory, where x of quants is staged. */
export function fewOf({ rows, width, weight }: { rows: number; width: number; weight: WeightDType }) {
  const few = [1, 2, 4].find((count) => rows <= count) ?? 8;
  const loads = width / perLoad[weight];
  // Several loads per thread, if the rows are long enough.
  const threads = threadsFor(loads <= 256 ? loads : over(loads, isQuantised(weight) ? 2 : 4), 256);
  // 32 numbers are padded by 4.
  const shared = isQuantised(weight) && few === 1 ? (4 * threads * perLoad[weight] * 36) / 32 : 0;
  return { few, threads, shared };
}

export const linear: Plan<"linear"> = (
  { rows, width, out, weight },
  { aligned, multiprocessors, hopper, cublasLt },
) => {
  const args = [at("x"), at("weight"), at("bias"), at("residual"), at("out"), ...int(rows, width, out)];
  const loads = width / perLoad[weight];
  if (!aligned || !Number.isInteger(loads)) {
    return {
      launches: [
        { file: "linear", kernel: `linear_any_${weight}`, grid: [over(out, 8), over(rows, 4)], threads: 256, args },
      ],
    };
  }
  if (cublasLt && forCublasLt(rows) && out % 8 === 0 && (weight === "f16" || weight === "bf16")) {
    return byCublasLt({ rows, width, out, weight });
  }
  if (hopper && rows > 128 && out % 8 === 0 && (weight === "f16" || weight === "bf16")) {
    const operands = [scratch, "weight", "bias", "residual", "out"].map((name) => at(name));
    return {
      scratch: 2 * rows * width,
      launches: [
        roundOf(weight, rows, width),
        {
          ...{
            file: "linear.sm90a",
            kernel: `linear_hopper_${weight}`,
            grid: [over(rows, 128), over(out, 256)],
            threads: 384,
          },
          // Four stages of 64 numbers of 128 rows and 256 outs, alignment to 1024 bytes, barriers.
          ...{ shared: 4 * (128 + 256) * 128 + 2048, args: [...operands, ...int(rows, width, out)] },
        },
      ],
    };
  }
  if (rows > 8 && weight !== "f32") return onTensorCores({ rows, width, out, weight }, multiprocessors);
  const { few, threads, shared } = fewOf({ rows, width, weight });
  return {
    launches: [
      {
        ...{ file: "linear", kernel: `linear_few_${weight}_${few}`, grid: [over(out, outsPerBlock), over(rows, few)] },
        ...{ threads, shared, args },
      },
    ],
  };
};

const roundOf = (weight: WeightDType, rows: number, width: number): Launch => {
  const each = isQuantised(weight) ? 16 : 8;
  return {
    ...{ file: "linear", kernel: `linear_round_${isQuantised(weight) ? "quantised" : weight}` },
    ...{ grid: [over((rows * width) / each, 256)], threads: 256 },
    args: [at("x"), at(scratch), ...int((rows * width) / each)],
  };
};

function byCublasLt({
  rows,
  width,
  out,
  weight,
}: {
  rows: number;
  width: number;
  out: number;
  weight: "f16" | "bf16";
}) {
  const roomAt = 256 * over(2 * rows * width, 256);
  return {
    launches: [
      roundOf(weight, rows, width),
      {
        product: { rows, width, outs: out, half: weight === "f16", workspace },
        args: [at(scratch), at("weight"), at("bias"), at("residual"), at("out"), at(scratch, roomAt)],
      },
    ],
    scratch: roomAt + workspace,
  };
}

function onTensorCores(
  { rows, width, out, weight }: { rows: number; width: number; out: number; weight: Exclude<WeightDType, "f32"> },
  multiprocessors: number,
) {
  const tiles = tilesOf(weight);
  const tile = tiles.find((each) => rows <= each.rows) ?? tiles.at(-1)!;
  const blocks = [over(rows, tile.rows), over(out, outsPerTile)] as const;
  // If tiles alone do not fill the device, the width is split into parts of at least 512 numbers.
  const wanted = Math.min(Math.floor((tile.blocks * multiprocessors) / (blocks[0] * blocks[1])), over(width, 512));
  const part = 64 * over(width, 64 * Math.max(1, wanted));
  const splits = over(width, part);
  const partsAt = 16 * over(2 * rows * width, 16);
  const round = roundOf(weight, rows, width);
  const product: Launch = {
    ...{
      file: "linear",
      kernel: `linear_tile_${weight}_${tile.rows}`,
      grid: [...blocks, splits],
      threads: tile.threads,
      shared: tile.shared,
    },
    args: [
      ...[at(scratch), at("weight"), at("bias"), at("residual"), at("out"), at(scratch, partsAt)],
      ...int(rows, width, out, part),
    ],
  };
  if (splits === 1) return { launches: [round, product], scratch: partsAt };
  const join: Launch = {
    ...{ file: "linear", kernel: "linear_join", grid: [over(rows * out, 256)], threads: 256 },
    args: [at(scratch, partsAt), at("bias"), at("residual"), at("out"), ...int(rows, out, splits)],
  };
  return { launches: [round, product, join], scratch: partsAt + 4 * splits * rows * out };
}
