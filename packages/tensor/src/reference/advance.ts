import type { Meaning } from "./view.js";

export const advance: Meaning<"advance"> = ({ repeat, sequences, width, by }, { counter, ended }) => {
  for (let i = 0; i < repeat * sequences * width; i++) {
    const s = Math.floor(i / width) % sequences;
    if (ended.get(s) === 0) counter.set(i, counter.get(i) + by);
  }
};
