/** The bits of the float32 value of each of the 65,536 halves. Made on first use. */
let halves: Uint32Array | undefined;
export function halfTable(): Uint32Array {
  if (halves) return halves;
  halves = new Uint32Array(65536);
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 31;
    const fraction = half & 0x3ff;
    if (exponent === 31) halves[half] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent > 0) halves[half] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else {
      value[0] = fraction * 2 ** -24;
      halves[half] = sign | bits[0]!;
    }
  }
  return halves;
}
