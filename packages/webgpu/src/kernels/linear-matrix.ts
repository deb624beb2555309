import { isQuantised, type WeightDType } from "@ziggurat/tensor";
import { type Bound, bind, type Full, flat, type Stage, scratch, type Traits } from "../stage.js";
import { bindWeight, type Part, partsOf } from "../weights.js";
import half from "./linear-half.wgsl";
import matrix from "./linear-matrix.wgsl";

/** Tiles of the larger kind that keep a large GPU busy. */
const busy = 128;
/** Rows from which on it pays to convert x and weights to f16 once, and not in every tile. */
const manyRows = 512;
/** Most bytes of weights that are converted at a time. */
const convertedBytes = 2 ** 27;

/** `linear` of many rows on matrix units. x and weights start at multiples of 16 bytes. */
export function matrixStages(spec: Full<"linear">, traits: Traits): readonly Stage[] {
  const { rows, width, out, weight } = spec;
  if (rows < manyRows) {
    return partsOf("linear", weight, out, width, traits.bindingBytes).map((part) => product(spec, part));
  }
  const xBytes = Math.ceil((2 * rows * width) / 256) * 256;
  const x = scratch("vec4<u32>", xBytes);
  const convertX: Stage = conversion({ ...bind("linear", spec, { x: "vec4<f32>" }), halves: x }, rows, width, {});
  if (weight === "f16") {
    const parts = partsOf("linear", weight, out, width, traits.bindingBytes);
    return [convertX, ...parts.map((part) => product(spec, part, x))];
  }
  const limit = Math.min(convertedBytes, traits.bindingBytes);
  const parts = partsOf("linear", "f16", out, width, limit).flatMap((part) =>
    partsOf("linear", weight, part.count, width, traits.bindingBytes).map(({ first, count }) => ({
      first: part.first + first,
      count,
    })),
  );
  return [
    convertX,
    ...parts.flatMap((part) => {
      const halves: Bound = { ...scratch("vec4<u32>", 2 * part.count * width), offset: xBytes };
      const bound = { ...bindWeight("weight", weight, out, width, quadType(weight), part), halves };
      const settings = { WEIGHT: weight, QUANTISED: isQuantised(weight), WIDE: true };
      return [conversion(bound, part.count, width, settings), product(spec, part, x, halves)];
    }),
  ];
}

const quadType = (weight: WeightDType) => (isQuantised(weight) ? "u32" : "vec2<u32>");

/** Converts `rows` of `width` numbers to f16. */
function conversion(
  bound: Readonly<Record<string, Bound>>,
  rows: number,
  width: number,
  settings: Stage["settings"],
): Stage {
  const items = (rows * width) / 8;
  return { text: half, settings, bound, uniforms: { width, items }, grid: flat(items), work: 6 * rows * width };
}

/** The product of one part; `x` and `halves` are x and the part of the weights in f16, if they were converted. */
function product(spec: Full<"linear">, part: Part, x?: Bound, halves?: Bound): Stage {
  const { rows, width, out, weight, bias, residual } = spec;
  const large = Math.ceil(rows / 128) * Math.ceil(part.count / 128) >= busy;
  // By four subgroups: a tile of 128 x 128, or if those are too few, of 64 x 64.
  const [down, across, steps] = [2, 2, 2];
  const tall = large ? 4 : 2;
  const broad = tall;
  const [height, breadth] = [16 * down * tall, 16 * across * broad];
  const loads = (lines: number) => (2 * steps * lines) / (32 * down * across);
  const read = (bound: Bound): Bound => ({ ...bound, written: false });
  const type = isQuantised(weight) ? "u32" : "vec4<u32>";
  return {
    text: matrix,
    settings: {
      ...{ MATRIX: true, SUBGROUP: 32, HALF: x !== undefined },
      ...{ DOWN: down, ACROSS: across, TALL: tall, BROAD: broad, STEPS: steps },
      ...{ X_LOADS: loads(height), WEIGHT_LOADS: loads(breadth) },
      ...{ WEIGHT: halves ? "f16" : weight, QUANTISED: !halves && isQuantised(weight), WIDE: true },
      ...{ BIAS: bias, RESIDUAL: residual },
    },
    bound: {
      ...bind("linear", spec, { bias: "f32", residual: "f32", out: "f32" }),
      ...(x ? { x: read(x) } : bind("linear", spec, { x: "vec4<f32>" })),
      ...(halves ? { weight: read(halves) } : bindWeight("weight", weight, out, width, type, part)),
    },
    uniforms: { rows, width, outs: part.count, stride: out, first_out: part.first, first_tile: 0 },
    grid: [Math.ceil(rows / height), Math.ceil(part.count / breadth), 1],
    work: 2 * rows * part.count * width + 4 * part.count * width,
    cut: "first_tile",
  };
}
