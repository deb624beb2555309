import { randomUniform } from "./random.js";
import type { Meaning } from "./view.js";

export const hash: Meaning<"hash"> = ({ heads, capacity, kvHeads, seed }, { positions, out }) => {
  for (let h = 0; h < heads; h++) {
    for (let j = 0; j < capacity; j++) {
      out.set(h * capacity + j, randomUniform(seed + (h % kvHeads), positions.get(h * capacity + j)));
    }
  }
};
