// Packing for `tile`: rows of numbers become panels of eight columns, [k, 8].

/**
 * Packs eight rows at `from`, `stride` bytes apart, as k x 8 numbers at `to`. Only `rows` rows exist; the others become
 * 0.
 */
export function packPanel(from: usize, stride: usize, rows: i32, k: i32, to: usize): void {
  if (rows < 8) {
    for (let i = 0; i < k; i++) {
      for (let r = 0; r < 8; r++) {
        store<f32>(to + (((i << 3) + r) << 2), r < rows ? load<f32>(from + <usize>r * stride + (i << 2)) : 0);
      }
    }
    return;
  }
  const whole = k & ~3;
  for (let half: usize = 0; half < 2; half++) {
    let a = from + half * 4 * stride;
    let at = to + half * 16;
    for (let i = 0; i < whole; i += 4, a += 16, at += 128) {
      const r0 = v128.load(a);
      const r1 = v128.load(a + stride);
      const r2 = v128.load(a + 2 * stride);
      const r3 = v128.load(a + 3 * stride);
      const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
      const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
      const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
      const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
      v128.store(at, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
      v128.store(at, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7), 32);
      v128.store(at, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5), 64);
      v128.store(at, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7), 96);
    }
    for (let i = whole; i < k; i++) {
      for (let r: usize = 0; r < 4; r++) {
        store<f32>(to + (i << 5) + half * 16 + (r << 2), load<f32>(from + (half * 4 + r) * stride + (i << 2)));
      }
    }
  }
}
