import { isQuantised, type WeightDType } from "@ziggurat/tensor";
import { bind, type Full, groupsOf, type OpKernel, type Stage, type Traits } from "../stage.js";
import { bindWeight } from "../weights.js";
import text from "./linear.wgsl";

/** Weights in 16 bytes. */
const chunks = { f32: 4, f16: 8, bf16: 8, q8_0: 16, q4_0: 32, q4_1: 32 } as const;
/** What four weights of a row are read as, by tiles. */
const quadType = (weight: WeightDType) => (weight === "f32" ? "vec4<u32>" : isQuantised(weight) ? "u32" : "vec2<u32>");

/** Few rows: as many lanes as a row of weights keeps busy, and rows of weights enough for each load of x to count. */
function fewRows(spec: Full<"linear">, { subgroup, software }: Traits, wide: boolean): Pick<Stage, "settings" | "grid"> {
  const { rows, width, out, weight } = spec;
  const loads = wide ? width / chunks[weight] : width;
  // In software threads take turns: the fewer to a row, the less is lost between them.
  const lanes = software && subgroup > 0 ? subgroup : Math.max(loads >= 256 ? 128 : loads >= 128 ? 64 : 32, subgroup);
  const outs = rows > 2 || out < 2048 ? 2 : 4;
  const perGroup = (128 / lanes) * outs;
  const settings = {
    FEW: rows,
    LANES: lanes,
    OUTS: outs,
    CHUNK: chunks[weight],
    NIBBLES: weight === "q4_0" || weight === "q4_1",
    SUBGROUP: subgroup,
  };
  return { settings, grid: groupsOf(Math.ceil(out / perGroup)) };
}

function manyRows({ rows, out }: Full<"linear">): Pick<Stage, "settings" | "grid"> {
  // The larger tile loads less for each product, unless much of it lies beyond the last row.
  const side = Math.ceil(rows / 64) * 64 > 1.25 * Math.ceil(rows / 32) * 32 ? 8 : 16;
  return { settings: { SIDE: side }, grid: [Math.ceil(out / (4 * side)), Math.ceil(rows / (4 * side)), 1] };
}

export const linear: OpKernel<"linear"> = {
  wide: ["x", "weight"],
  stages(spec, traits, wide) {
    const { rows, width, out, weight, bias, residual } = spec;
    const few = rows <= 4;
    const whole = wide && width % (few ? chunks[weight] : 4) === 0;
    const { settings, grid } = few ? fewRows(spec, traits, whole) : manyRows(spec);
    const type = whole ? (few ? "vec4<u32>" : quadType(weight)) : "u32";
    return [
      {
        text,
        settings: { ...settings, WEIGHT: weight, QUANTISED: isQuantised(weight), WIDE: whole, BIAS: bias, RESIDUAL: residual },
        bound: {
          ...bind("linear", spec, { x: whole ? "vec4<f32>" : "f32", bias: "f32", residual: "f32", out: "f32" }),
          ...bindWeight("weight", weight, out, width, type),
        },
        uniforms: { width, outs: out, ...(few ? {} : { rows }) },
        grid,
        work: 2 * rows * out * width + 4 * out * width,
      },
    ];
  },
};
