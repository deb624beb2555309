// 16-bit floats in and out of numbers, rounding to nearest even.

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The float32 value of a bfloat16's 16 bits. */
export function fromBFloat16(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

/** The bfloat16 nearest to `value`, as 16 bits. */
export function toBFloat16(value: number): number {
  single[0] = value;
  const bits = word[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The float32 value of an IEEE half's 16 bits. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The IEEE half nearest to `value`, as 16 bits. */
export function toFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  const unit = 2 ** (exponent - 10);
  let steps = Math.floor(size / unit);
  const rest = size / unit - steps;
  if (rest > 0.5 || (rest === 0.5 && steps % 2 === 1)) steps++;
  if (exponent === -14 && steps < 1024) return sign | steps;
  if (steps >= 2048) return sign | ((exponent + 16) << 10);
  return sign | ((exponent + 15) << 10) | (steps - 1024);
}
