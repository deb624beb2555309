import { type Meaning, setFrom } from "./view.js";

/** Compares scores, greatest first. NaN comes after every number, -Infinity included. */
export function greatestFirst(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a > b ? -1 : 1;
}

export const topk: Meaning<"topk"> = (
  { heads, capacity, most },
  { scores, positions, offset, length, keep, rows, count },
) => {
  for (let h = 0; h < heads; h++) {
    const score = (row: number) => scores.get(h * capacity + row);
    const position = (row: number) => positions.get(offset.get(h) + row);
    const kept = Math.max(0, Math.min(keep.get(h), length.get(h), most));
    const best = Array.from({ length: length.get(h) }, (_, row) => row)
      .sort((a, b) => greatestFirst(score(a), score(b)) || position(a) - position(b))
      .slice(0, kept);
    setFrom(
      rows,
      h * most,
      best.sort((a, b) => a - b),
    );
    count.set(h, kept);
  }
};
