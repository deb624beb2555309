import { at, int, over, type Plan, threadsFor } from "../launch.js";

/** Weights in 16 bytes. */
const perLoad = { f32: 4, f16: 8, bf16: 8, q8_0: 16, q4_0: 32, q4_1: 32 } as const;
const outsPerBlock = 4;

export const linear: Plan<"linear"> = ({ rows, width, out, weight }, { aligned }) => {
  const args = [at("x"), at("weight"), at("bias"), at("residual"), at("out"), ...int(rows, width, out)];
  const loads = width / perLoad[weight];
  if (!aligned || !Number.isInteger(loads)) {
    return { launches: [{ file: "linear", kernel: `linear_any_${weight}`, grid: [over(out, 8), over(rows, 4)], threads: 256, args }] };
  }
  const few = [1, 2, 4].find((count) => rows <= count) ?? 8;
  return {
    launches: [
      {
        ...{ file: "linear", kernel: `linear_few_${weight}_${few}`, grid: [over(out, outsPerBlock), over(rows, few)] },
        ...{ threads: threadsFor(over(loads, 4), 256), args },
      },
    ],
  };
};
