import { logSumExp } from "./softmax.js";
import { type Meaning, rowOf } from "./view.js";

export const logProbability: Meaning<"logProbability"> = ({ rows, vocabulary }, { logits, ids, out }) => {
  for (let r = 0; r < rows; r++) {
    const row = rowOf(logits, r, vocabulary);
    out.set(r, (row[ids.get(r)] ?? Number.NEGATIVE_INFINITY) - logSumExp(row));
  }
};
