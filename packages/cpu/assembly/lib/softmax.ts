import { expSmall, expSmall8, madd, max, sum, tanh } from "./math";

// Softmax over a row of logits in scratch. Rows are as long as a multiple of 4; what is not seen is -Infinity.

/** Scales logits, bounds them where softcap > 0, hides those outside first..last, and returns the greatest. */
export function prepareLogits(row: usize, count: i32, first: i32, last: i32, scale: f32, softcap: f32): f32 {
  const scales = f32x4.splat(softcap > 0 ? scale / softcap : scale);
  const caps = f32x4.splat(softcap);
  let greatest = f32x4.splat(-Infinity);
  let other = greatest;
  for (let i = 0; i < first; i++) store<f32>(row + (i << 2), -Infinity);
  for (let i = last; i < count; i++) store<f32>(row + (i << 2), -Infinity);
  let i = 0;
  if (softcap <= 0) {
    for (; i + 8 <= count; i += 8) {
      const x = f32x4.mul(v128.load(row + (i << 2)), scales);
      const y = f32x4.mul(v128.load(row + (i << 2), 16), scales);
      greatest = f32x4.pmax(greatest, x);
      other = f32x4.pmax(other, y);
      v128.store(row + (i << 2), x);
      v128.store(row + (i << 2), y, 16);
    }
  }
  for (; i < count; i += 4) {
    let x = f32x4.mul(v128.load(row + (i << 2)), scales);
    if (softcap > 0) x = v128.bitselect(x, f32x4.mul(tanh(x), caps), f32x4.eq(x, f32x4.splat(-Infinity)));
    greatest = f32x4.pmax(greatest, x);
    v128.store(row + (i << 2), x);
  }
  return max(f32x4.pmax(greatest, other));
}

/** Logits become e^(logit - base); returns their sum. */
export function exponentials(row: usize, count: i32, base: f32): f32 {
  const bases = f32x4.splat(base);
  let total = f32x4.splat(0);
  let i = 0;
  for (; i + 8 <= count; i += 8) total = f32x4.add(total, expSmall8(row + (i << 2), bases));
  for (; i < count; i += 4) {
    const weight = expSmall(f32x4.sub(v128.load(row + (i << 2)), bases));
    total = f32x4.add(total, weight);
    v128.store(row + (i << 2), weight);
  }
  return sum(total);
}

/** Multiplies `count` (a multiple of 4) numbers. */
export function scaleRow(row: usize, count: i32, by: f32): void {
  const factor = f32x4.splat(by);
  for (let i = 0; i < count; i += 4) v128.store(row + (i << 2), f32x4.mul(v128.load(row + (i << 2)), factor));
}

/** row += by x other, `count` (a multiple of 4) numbers. */
export function addRow(row: usize, other: usize, count: i32, by: f32): void {
  const factor = f32x4.splat(by);
  for (let i = 0; i < count; i += 4) {
    v128.store(row + (i << 2), madd(v128.load(other + (i << 2)), factor, v128.load(row + (i << 2))));
  }
}
