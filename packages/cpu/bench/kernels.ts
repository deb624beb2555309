// Yardsticks for bench.mjs, compiled by it: the bare inner loops, without packing, edges or memory.
import { tile, tileRows } from "../assembly/lib/tile";

/** `times` products of a row tile by a panel of depth `k`, both in cache; returns the multiply-adds. */
export function bare(times: i32, k: i32, at: usize): f64 {
  const rows = 2 * tileRows();
  const panel = at + ((<usize>(rows * k)) << 2);
  const out = panel + ((<usize>k) << 5);
  for (let i = 0; i < times; i++) tile(rows, k, at, k << 2, panel, 32, out, 32, false);
  return <f64>times * rows * k * 8;
}

const row: usize = 16384 * 4; // The longer, the faster this is.

/**
 * The plain loop: the numbers at `x` times a matrix of f32 at `at`, four rows at a time; returns the sum of all. Reads
 * whole fours of rows from `bytes` bytes, which should be more than caches hold.
 */
export function streams(x: usize, at: usize, bytes: usize): f32 {
  let total: f32 = 0;
  for (const last = at + bytes - 4 * row; at <= last; at += 4 * row) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    for (let i: usize = 0; i < row; i += 16) {
      const v = v128.load(x + i);
      a = f32x4.add(a, f32x4.mul(v, v128.load(at + i)));
      b = f32x4.add(b, f32x4.mul(v, v128.load(at + row + i)));
      c = f32x4.add(c, f32x4.mul(v, v128.load(at + 2 * row + i)));
      d = f32x4.add(d, f32x4.mul(v, v128.load(at + 3 * row + i)));
    }
    const all = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
    total +=
      f32x4.extract_lane(all, 0) + f32x4.extract_lane(all, 1) + f32x4.extract_lane(all, 2) + f32x4.extract_lane(all, 3);
  }
  return total;
}
