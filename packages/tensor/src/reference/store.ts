import type { Meaning } from "./view.js";

export const store: Meaning<"store"> = ({ sequences, kvHeads, capacity }, { x, offset, length, ended, target }) => {
  for (let h = 0; h < sequences * kvHeads; h++) {
    if (ended.get(Math.floor(h / kvHeads)) !== 0) continue;
    for (let j = 0; j < length.get(h); j++) target.set(offset.get(h) + j, x.get(h * capacity + j));
  }
};
