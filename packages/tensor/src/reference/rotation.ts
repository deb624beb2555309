import type { View } from "./view.js";

/** Angles by position: row p of `table` holds the cosines, then the sines of position p's `rotary / 2` angles. */
export interface Angles {
  readonly table: View;
  readonly tableRows: number;
  readonly rotary: number;
}

/**
 * `vector` rotated to `position`, which is clamped to the table: number j pairs with j + rotary / 2; numbers from
 * `rotary` on stay. RoPE (arXiv 2104.09864) with the halves paired, as Llama's published weights expect it.
 */
export function rotated(vector: readonly number[], position: number, { table, tableRows, rotary }: Angles): number[] {
  const half = rotary / 2;
  const start = Math.min(Math.max(position, 0), tableRows - 1) * rotary;
  return vector.map((x, j) => {
    if (j >= rotary) return x;
    const cos = table.get(start + (j % half));
    const sin = table.get(start + half + (j % half));
    return j < half ? x * cos - vector[j + half]! * sin : x * cos + vector[j - half]! * sin;
  });
}
