import { rotated } from "./rotation.js";
import { type Meaning, rowOf, setFrom } from "./view.js";

export const load: Meaning<"load"> = (spec, { source, ranks, table, offset, length, out }) => {
  const { heads, capacity, width, rotary, tableRows } = spec;
  const zeros = new Array<number>(width).fill(0);
  for (let h = 0; h < heads; h++) {
    for (let j = 0; j < capacity; j++) {
      const from = offset.get(h) + j;
      const row = j < length.get(h) ? rowOf(source, from, width) : zeros;
      const turn = ranks && table && j < length.get(h);
      setFrom(
        out,
        (h * capacity + j) * width,
        turn ? rotated(row, ranks.get(from), { table, tableRows, rotary }) : row,
      );
    }
  }
};
