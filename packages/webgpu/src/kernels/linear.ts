import { isQuantised, type WeightDType } from "@ziggurat/tensor";
import { type Bound, bind, type Full, groupsOf, type OpKernel, type Stage, scratch, type Traits } from "../stage.js";
import { bindWeight, type Part, partsOf } from "../weights.js";
import text from "./linear.wgsl";
import dots from "./linear-dots.wgsl";
import { matrixStages } from "./linear-matrix.js";
import tile from "./linear-tile.wgsl";

/** Weights in one load of 16 bytes. */
const chunks = { f32: 4, f16: 8, bf16: 8, q8_0: 16, q4_0: 32, q4_1: 32 } as const;
/** The type as which tiles read four weights of a row. */
const quadType = (weight: WeightDType) => (weight === "f32" ? "vec4<u32>" : isQuantised(weight) ? "u32" : "vec2<u32>");

/** Workgroups that keep a large GPU busy. */
const busy = 128;

type Plan = Pick<Stage, "text" | "settings" | "grid"> & {
  readonly weightType: string;
  readonly xType: string;
  readonly cut?: boolean;
};

/**
 * Few rows. A team has as many lanes as a row of weights keeps busy. In software threads take turns, and fewer lanes
 * lose less between turns.
 */
function fewRows(
  { rows, width, weight }: Full<"linear">,
  out: number,
  { subgroup, software }: Traits,
  wide: boolean,
): Plan {
  const blocks = Math.ceil(rows / 8);
  const few = Math.ceil(rows / blocks);
  const loads = wide ? width / chunks[weight] : width;
  const lanes = software && subgroup > 0 ? subgroup : Math.max(loads >= 128 ? 128 : loads >= 64 ? 64 : 32, subgroup);
  const outs = few > 4 ? 4 : 2;
  const [x, y] = groupsOf(Math.ceil(out / ((128 / lanes) * outs)));
  return {
    text,
    settings: {
      FEW: few,
      LANES: lanes,
      OUTS: outs,
      SUMS: few * outs,
      CHUNK: chunks[weight],
      QUADS: chunks[weight] / 4,
      NIBBLES: nibbles(weight),
      SUBGROUP: subgroup,
    },
    grid: [x, y, Math.ceil(rows / few)],
    weightType: wide ? "vec4<u32>" : "u32",
    xType: wide ? "vec4<f32>" : "f32",
  };
}

/** Few rows by bytes: a team reads one or two rows of weights. */
function fewDots({ rows, weight }: Full<"linear">, out: number, { subgroup, software }: Traits, pairs: boolean): Plan {
  const few = Math.ceil(rows / Math.ceil(rows / 8));
  const lanes = software && subgroup > 0 ? subgroup : Math.max(32, subgroup);
  const outs = few > 1 || pairs ? 2 : 1;
  const [x, y] = groupsOf(Math.ceil(out / ((128 / lanes) * outs)));
  return {
    text: dots,
    settings: { FEW: few, LANES: lanes, OUTS: outs, SUMS: few * outs, NIBBLES: nibbles(weight), SUBGROUP: subgroup },
    grid: [x, y, Math.ceil(rows / few)],
    weightType: "vec4<u32>",
    xType: "",
  };
}

/** Many rows. The larger tile loads less for each product, but needs enough tiles to keep the device busy. */
function manyRows({ rows, weight }: Full<"linear">, out: number, { software }: Traits, wide: boolean): Plan {
  const large = !software && Math.ceil(rows / 128) * Math.ceil(out / 128) >= busy;
  const quads = large ? 2 : 1;
  return {
    text: tile,
    settings: { ACROSS: 16, DOWN: 16, ROW_QUADS: quads, OUT_QUADS: quads },
    grid: [Math.ceil(out / (64 * quads)), Math.ceil(rows / (64 * quads)), 1],
    weightType: wide ? quadType(weight) : "u32",
    xType: wide ? "vec4<f32>" : "f32",
    cut: true,
  };
}

const nibbles = (weight: WeightDType) => weight === "q4_0" || weight === "q4_1";

/** Whether x is converted to bytes, in one more dispatch. */
const byBytes = ({ rows, width, weight }: Full<"linear">, traits: Traits, wide: boolean) =>
  wide && traits.dots && isQuantised(weight) && rows <= fewest(traits) && width % 32 === 0;
const fewest = ({ software }: Traits) => (software ? 4 : 16);

export const linear: OpKernel<"linear"> = {
  wide: ["x", "weight"],
  stages: (spec, traits, wide) => stagesOf(spec, traits, wide),
};

/** The neighbours of a product of few rows that are fused with it. */
interface Joined {
  /** If set, x is normalised first by `rmsNorm` with this epsilon: operand norm is its weight, normed its result. */
  readonly epsilon?: number;
  /** If set, the result goes through `gatedActivation` of this kind: operand gated is its result. */
  readonly kind?: "silu" | "gelu";
}

/**
 * Fuses `linear` of few rows with its neighbours, in no more dispatches than `linear` alone. Returns undefined if there
 * is no kernel for it. All operands must start at multiples of 16 bytes.
 */
export function joinedLinear(spec: Full<"linear">, joined: Joined, traits: Traits): readonly Stage[] | undefined {
  const { rows, width, out, weight, residual, bias } = spec;
  const fits = byBytes(spec, traits, true) || (rows <= Math.min(8, fewest(traits)) && width % chunks[weight] === 0);
  if (!fits || residual || width % 4 !== 0) return undefined;
  if (
    joined.kind &&
    (bias || rows > 4 || out % 2 !== 0 || partsOf("linear", weight, out, width, traits.bindingBytes).length > 1)
  )
    return undefined;
  return stagesOf(spec, traits, true, joined);
}

function stagesOf(
  spec: Full<"linear">,
  traits: Traits,
  wide: boolean,
  { epsilon, kind }: Joined = {},
): readonly Stage[] {
  const { rows, width, weight, bias, residual } = spec;
  const few = rows <= fewest(traits);
  const whole = wide && width % (few ? chunks[weight] : 4) === 0;
  const bytes = byBytes(spec, traits, wide);
  if (!few && whole && traits.matrix && weight !== "f32" && width % 32 === 0) return matrixStages(spec, traits);
  const plan = (out: number) =>
    bytes
      ? fewDots(spec, out, traits, kind !== undefined)
      : few
        ? fewRows(spec, out, traits, whole)
        : manyRows(spec, out, traits, whole);
  const quantised = scratch("vec4<u32>", (rows * width * 48) / 32);
  const plane = (operand: string, count: number, written: boolean): Bound => ({
    type: "vec4<f32>",
    written,
    operand,
    offset: 0,
    bytes: 4 * count,
  });
  const norm =
    epsilon === undefined ? {} : { norm: plane("norm", width, false), normed: plane("normed", rows * width, true) };
  const gated =
    kind === undefined
      ? {}
      : { gated: { type: "f32", written: true, operand: "gated", offset: 0, bytes: 2 * rows * spec.out } };
  const floats = epsilon === undefined ? {} : { epsilon };
  const stage = (part: Part): Stage => {
    const { text, settings, grid, weightType, xType, cut } = plan(part.count);
    const { x, ...rest } = bind("linear", spec, { x: xType, bias: "f32", residual: "f32", out: "f32" });
    const input: Record<string, Bound> = bytes ? { bytes: { ...quantised, written: false } } : { x: x!, ...norm };
    const normed = epsilon !== undefined && !bytes;
    return {
      text,
      settings: {
        ...settings,
        ...{ WEIGHT: weight, QUANTISED: isQuantised(weight), WIDE: whole, BIAS: bias, RESIDUAL: residual },
        ...(kind === undefined ? {} : { GATED: true, KIND: kind }),
        ...(normed ? { NORM: true, SUMS: Number(settings.SUMS) + Number(settings.FEW) } : {}),
      },
      bound: { ...input, ...rest, ...gated, ...bindWeight("weight", weight, spec.out, width, weightType, part) },
      uniforms: {
        rows,
        width,
        outs: part.count,
        stride: spec.out,
        first_out: part.first,
        ...(cut ? { first_tile: 0 } : {}),
      },
      ...(normed ? { floats } : {}),
      grid,
      work: 2 * rows * part.count * width + 4 * part.count * width,
      ...(cut ? { cut: "first_tile" } : {}),
    };
  };
  const products = partsOf("linear", weight, spec.out, width, traits.bindingBytes).map(stage);
  if (!bytes) return products;
  const blocks = (rows * width) / 32;
  const quantise: Stage = {
    text: dots,
    settings: { QUANTISE: true, ...(epsilon === undefined ? {} : { NORM: true, SUBGROUP: traits.subgroup }) },
    bound: { ...bind("linear", spec, { x: "vec4<f32>" }), ...norm, bytes: quantised },
    uniforms: epsilon === undefined ? { blocks } : { width },
    floats,
    grid: [epsilon === undefined ? Math.ceil(blocks / 64) : rows, 1, 1],
    work: 8 * rows * width,
  };
  return [quantise, ...products];
}
