import { type Meaning, rowOf, setFrom } from "./view.js";

/** RMSNorm, arXiv 1910.07467. */
export const rmsNorm: Meaning<"rmsNorm"> = ({ rows, width, epsilon }, { x, weight, out }) => {
  for (let r = 0; r < rows; r++) {
    const row = rowOf(x, r, width);
    const meanSquare = row.reduce((sum, value) => sum + value * value, 0) / width;
    const scale = 1 / Math.sqrt(meanSquare + epsilon);
    setFrom(
      out,
      r * width,
      row.map((value, i) => value * scale * weight.get(i)),
    );
  }
};
