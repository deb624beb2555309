import { madd } from "./math";

// c[r, 0..8) = or += sum over i < k, ascending, of a[r, i] x b[i, 0..8). Strides are in bytes; rows of `a` are
// contiguous. The inner loop of every matrix product: 16 registers hold 4 x 8 sums if a product needs a register, 6 x 8
// with multiply-add. Unrolled by hand, because each sum must stay in a register.

// @ts-ignore: decorator
@inline
function put(c: usize, low: v128, high: v128, add: bool): void {
  if (add) {
    low = f32x4.add(low, v128.load(c));
    high = f32x4.add(high, v128.load(c, 16));
  }
  v128.store(c, low);
  v128.store(c, high, 16);
}

export function tile1(
  k: i32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, add: bool,
): void {
  let a0 = a;
  let c00 = f32x4.splat(0); let c01 = f32x4.splat(0);
  for (let i = 0; i < k; i++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a0);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    a0 += 4;
    b += bStride;
  }
  put(c, c00, c01, add);
}

export function tile4(
  k: i32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, add: bool,
): void {
  let a0 = a;
  let a1 = a + aStride;
  let a2 = a + 2 * aStride;
  let a3 = a + 3 * aStride;
  let c00 = f32x4.splat(0); let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0); let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0); let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0); let c31 = f32x4.splat(0);
  for (let i = 0; i < k; i++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a0);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    x = v128.load32_splat(a1);
    c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
    x = v128.load32_splat(a2);
    c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
    x = v128.load32_splat(a3);
    c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    b += bStride;
  }
  put(c, c00, c01, add);
  c += cStride;
  put(c, c10, c11, add);
  c += cStride;
  put(c, c20, c21, add);
  c += cStride;
  put(c, c30, c31, add);
}

export function tile6(
  k: i32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, add: bool,
): void {
  let a0 = a;
  let a1 = a + aStride;
  let a2 = a + 2 * aStride;
  let a3 = a + 3 * aStride;
  let a4 = a + 4 * aStride;
  let a5 = a + 5 * aStride;
  let c00 = f32x4.splat(0); let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0); let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0); let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0); let c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0); let c41 = f32x4.splat(0);
  let c50 = f32x4.splat(0); let c51 = f32x4.splat(0);
  for (let i = 0; i < k; i++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a0);
    c00 = madd(x, b0, c00); c01 = madd(x, b1, c01);
    x = v128.load32_splat(a1);
    c10 = madd(x, b0, c10); c11 = madd(x, b1, c11);
    x = v128.load32_splat(a2);
    c20 = madd(x, b0, c20); c21 = madd(x, b1, c21);
    x = v128.load32_splat(a3);
    c30 = madd(x, b0, c30); c31 = madd(x, b1, c31);
    x = v128.load32_splat(a4);
    c40 = madd(x, b0, c40); c41 = madd(x, b1, c41);
    x = v128.load32_splat(a5);
    c50 = madd(x, b0, c50); c51 = madd(x, b1, c51);
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    a4 += 4;
    a5 += 4;
    b += bStride;
  }
  put(c, c00, c01, add);
  c += cStride;
  put(c, c10, c11, add);
  c += cStride;
  put(c, c20, c21, add);
  c += cStride;
  put(c, c30, c31, add);
  c += cStride;
  put(c, c40, c41, add);
  c += cStride;
  put(c, c50, c51, add);
}

/** The number of rows of `a` that fit a tile best. */
// @ts-ignore: decorator
@inline
export function tileRows(): i32 { return ASC_FEATURE_RELAXED_SIMD ? 6 : 4; }

/** Any number of rows, eight columns. */
export function tile(
  rows: i32, k: i32, a: usize, aStride: usize, b: usize, bStride: usize, c: usize, cStride: usize, add: bool,
): void {
  let r = 0;
  if (ASC_FEATURE_RELAXED_SIMD) {
    for (; r + 6 <= rows; r += 6) {
      tile6(k, a, aStride, b, bStride, c, cStride, add);
      a += 6 * aStride;
      c += 6 * cStride;
    }
  }
  for (; r + 4 <= rows; r += 4) {
    tile4(k, a, aStride, b, bStride, c, cStride, add);
    a += 4 * aStride;
    c += 4 * cStride;
  }
  for (; r < rows; r++) {
    tile1(k, a, aStride, b, bStride, c, cStride, add);
    a += aStride;
    c += cStride;
  }
}
