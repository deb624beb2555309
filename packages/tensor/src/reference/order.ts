import { type Meaning, setFrom } from "./view.js";

export const order: Meaning<"order"> = ({ heads, capacity }, { positions, offset, length, rows, count }) => {
  for (let h = 0; h < heads; h++) {
    const position = (row: number) => positions.get(offset.get(h) + row);
    const sorted = Array.from({ length: length.get(h) }, (_, row) => row).sort((a, b) => position(a) - position(b));
    setFrom(rows, h * capacity, sorted);
    count.set(h, sorted.length);
  }
};
