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

/** Reads `bytes` bytes from `at` as four streams. */
export function streams(at: usize, bytes: usize): f32 {
  // Not a power of two apart, or all four fall into the same sets of the cache.
  const quarter = ((bytes >> 2) - 4160) & ~63;
  const a = at;
  const b = a + quarter + 1088;
  const c = b + quarter + 1088;
  const d = c + quarter + 1088;
  let w = f32x4.splat(0);
  let x = f32x4.splat(0);
  let y = f32x4.splat(0);
  let z = f32x4.splat(0);
  for (let i: usize = 0; i < quarter; i += 32) {
    w = f32x4.add(w, f32x4.add(v128.load(a + i), v128.load(a + i, 16)));
    x = f32x4.add(x, f32x4.add(v128.load(b + i), v128.load(b + i, 16)));
    y = f32x4.add(y, f32x4.add(v128.load(c + i), v128.load(c + i, 16)));
    z = f32x4.add(z, f32x4.add(v128.load(d + i), v128.load(d + i, 16)));
  }
  return f32x4.extract_lane(f32x4.add(f32x4.add(w, x), f32x4.add(y, z)), 0);
}
