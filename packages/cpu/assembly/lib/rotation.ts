import { madd } from "./math";

/** Where the angles of a position lie; positions are clamped to the table. */
// @ts-ignore: decorator
@inline
export function angles(table: usize, tableRows: i32, rotary: i32, position: i32): usize {
  const row = position < 0 ? 0 : position >= tableRows ? tableRows - 1 : position;
  return table + ((<usize>row * <usize>rotary) << 2);
}

/** Rotates the f32 vector at `x` in place: number j with j + rotary / 2 (RoPE, arXiv 2104.09864, halves paired). */
export function rotate(x: usize, rotary: i32, row: usize): void {
  const half = rotary >> 1;
  const far = half << 2;
  let j = 0;
  for (; j + 4 <= half; j += 4) {
    const at = x + (j << 2);
    const a = v128.load(at);
    const b = v128.load(at + far);
    const cos = v128.load(row + (j << 2));
    const sin = v128.load(row + far + (j << 2));
    v128.store(at, madd(a, cos, f32x4.neg(f32x4.mul(b, sin))));
    v128.store(at + far, madd(b, cos, f32x4.mul(a, sin)));
  }
  for (; j < half; j++) {
    const at = x + (j << 2);
    const a = load<f32>(at);
    const b = load<f32>(at + far);
    const cos = load<f32>(row + (j << 2));
    const sin = load<f32>(row + far + (j << 2));
    store<f32>(at, a * cos - b * sin);
    store<f32>(at + far, b * cos + a * sin);
  }
}
