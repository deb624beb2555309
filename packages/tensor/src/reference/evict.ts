import { type Meaning, rowOf, setFrom } from "./view.js";

/**
 * The row that moves into each of the first places. If survivors may stay, those beyond the places fill the holes. A
 * row never moves to a higher place.
 */
function sources(survivors: readonly number[], ordered: boolean): readonly number[] {
  if (ordered) return survivors;
  const stay = new Set(survivors);
  const movers = survivors.filter((row) => row >= survivors.length);
  return survivors.map((_, place) => (stay.has(place) ? place : movers.shift()!));
}

export const evict: Meaning<"evict"> = (spec, { keys, values, cells, offset, length, rows, count, ended }) => {
  const { sequences, kvHeads, most, headSize, arenaRows, planes, ordered, ranks } = spec;
  for (let h = 0; h < sequences * kvHeads; h++) {
    if (ended.get(Math.floor(h / kvHeads)) !== 0 || count.get(h) >= length.get(h)) continue;
    const start = offset.get(h);
    const survivors = Array.from({ length: count.get(h) }, (_, i) => rows.get(h * most + i));
    if (ranks) {
      const rank = (row: number) => cells.get(arenaRows + start + row);
      const stay = new Set(survivors);
      const evicted = Array.from({ length: length.get(h) }, (_, row) => row)
        .filter((row) => !stay.has(row))
        .map(rank);
      for (const row of survivors) {
        cells.set(arenaRows + start + row, rank(row) - evicted.filter((lower) => lower < rank(row)).length);
      }
    }
    sources(survivors, ordered).forEach((row, place) => {
      setFrom(keys, (start + place) * headSize, rowOf(keys, start + row, headSize));
      setFrom(values, (start + place) * headSize, rowOf(values, start + row, headSize));
      for (let plane = 0; plane < planes; plane++) {
        cells.set(plane * arenaRows + start + place, cells.get(plane * arenaRows + start + row));
      }
    });
    length.set(h, count.get(h));
  }
};
