import type { Meaning } from "./view.js";

export const advance: Meaning<"advance"> = ({ sequences, width, by }, { counter, ended }) => {
  for (let s = 0; s < sequences; s++) {
    if (ended.get(s) !== 0) continue;
    for (let i = s * width; i < (s + 1) * width; i++) counter.set(i, counter.get(i) + by);
  }
};
