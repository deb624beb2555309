import { type Meaning, rowOf } from "./view.js";

export const linear: Meaning<"linear"> = ({ rows, width, out: outs }, { x, weight, bias, residual, out }) => {
  for (let o = 0; o < outs; o++) {
    const weights = rowOf(weight, o, width);
    for (let r = 0; r < rows; r++) {
      let sum = (bias?.get(o) ?? 0) + (residual?.get(r * outs + o) ?? 0);
      for (let i = 0; i < width; i++) sum += x.get(r * width + i) * weights[i]!;
      out.set(r * outs + o, sum);
    }
  }
};
