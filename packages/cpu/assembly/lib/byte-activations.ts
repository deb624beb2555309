import { greatestOf, nearest, sumOf } from "./activations";
import { zeroPoint } from "./byte-dot";

// Rows of activations as bytes, with one scale per block of 32. Eight bits are enough except for outliers: if the
// greatest number of a block is far beyond the usual in its row, all others in the block lose most of their bits, and
// that is noticeable (perplexity of SmolLM2 rises by 0.3 %). Such blocks get a second plane with what the first leaves
// over, and so 15 bits. Six rows form a group, which is what a tile takes. The group's first row states in which blocks
// any of them has a second plane. The second plane of a row without one is zero, so that no row's results depend on the
// others.
//
// A row holds two planes of bytes, then per block a scale, then per block the sum of its quants times the scale, then
// per block whether the group needs both planes.

export const GROUP = 6;
const OUTLIER: f32 = 8; // Times the root mean square of the row.

/** Bytes of one plane of a row. */
// @ts-ignore: decorator
@inline
export function planeBytes(width: i32): usize { return <usize>(width + (width >> 2)); }

/** Bytes of one row. */
// @ts-ignore: decorator
@inline
export function byteRowBytes(width: i32): usize { return 2 * planeBytes(width) + (<usize>width >> 3); }

/** Sixteen numbers, in units of their scale, as bytes: rounded, or what rounding left over, times 254. */
// @ts-ignore: decorator
@inline
function bytes16(from: usize, factor: v128, rest: bool): v128 {
  let a = f32x4.mul(v128.load(from), factor);
  let b = f32x4.mul(v128.load(from, 16), factor);
  let c = f32x4.mul(v128.load(from, 32), factor);
  let d = f32x4.mul(v128.load(from, 48), factor);
  if (rest) {
    const by = f32x4.splat(254);
    a = f32x4.mul(f32x4.sub(a, f32x4.nearest(a)), by);
    b = f32x4.mul(f32x4.sub(b, f32x4.nearest(b)), by);
    c = f32x4.mul(f32x4.sub(c, f32x4.nearest(c)), by);
    d = f32x4.mul(f32x4.sub(d, f32x4.nearest(d)), by);
  }
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(nearest(a), nearest(b)),
    i16x8.narrow_i32x4_s(nearest(c), nearest(d)));
}

/** A block of one plane. */
// @ts-ignore: decorator
@inline
function block(from: usize, factor: v128, rest: bool, to: usize, scaleAt: usize, sumAt: usize, scale: f32): void {
  const a = bytes16(from, factor, rest);
  const b = bytes16(from + 64, factor, rest);
  const zero = i8x16.splat(<i8>zeroPoint);
  v128.store(to, i8x16.add(a, zero));
  v128.store(to, i8x16.add(b, zero), 16);
  const sums = i16x8.add(i16x8.extadd_pairwise_i8x16_s(a), i16x8.extadd_pairwise_i8x16_s(b));
  store<f32>(scaleAt, scale);
  store<f32>(sumAt, <f32>sumOf(i32x4.extadd_pairwise_i16x8_s(sums)) * scale);
}

/** The row at `from` at `to`; adds to the flags at `flags`. */
function quantiseRow(from: usize, width: i32, to: usize, flags: usize): void {
  const plane = planeBytes(width);
  const blocks = <usize>width >> 5;
  const scales = to + width;
  const sums = scales + (blocks << 2);
  let squares = f32x4.splat(0);
  for (let i: usize = 0; i < blocks; i++) {
    const x = from + (i << 7);
    for (let at = x; at < x + 128; at += 16) squares = f32x4.add(squares, f32x4.mul(v128.load(at), v128.load(at)));
    store<f32>(scales + (i << 2), greatestOf(x));
  }
  const sum = f32x4.extract_lane(squares, 0) + f32x4.extract_lane(squares, 1)
    + f32x4.extract_lane(squares, 2) + f32x4.extract_lane(squares, 3);
  const limit = OUTLIER * Mathf.sqrt(sum / <f32>width);
  for (let i: usize = 0; i < blocks; i++) {
    const x = from + (i << 7);
    const q = to + (i << 5);
    const s = scales + (i << 2);
    const f = sums + (i << 2);
    const most = load<f32>(s);
    const factor = f32x4.splat(most > 0 ? <f32>127 / most : 0);
    block(x, factor, false, q, s, f, most / 127);
    if (most > limit) {
      block(x, factor, true, q + plane, s + plane, f + plane, most / (127 * 254));
      store<i32>(flags + (i << 2), 1);
    } else {
      v128.store(q + plane, i8x16.splat(<i8>zeroPoint));
      v128.store(q + plane, i8x16.splat(<i8>zeroPoint), 16);
      store<f32>(s + plane, 0);
      store<f32>(f + plane, 0);
    }
  }
}

/** `count` (1 to 6) rows of `width` numbers at `from`, made ready at `to`. */
export function quantiseGroup(from: usize, width: i32, count: i32, to: usize): void {
  const flags = to + 2 * planeBytes(width);
  memory.fill(flags, 0, <usize>width >> 3);
  for (let r = 0; r < count; r++) {
    quantiseRow(from, width, to, flags);
    from += <usize>width << 2;
    to += byteRowBytes(width);
  }
}
