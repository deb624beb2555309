/**
 * A 32-bit integer hash with low bias: "lowbias32" of Chris Wellons' hash-prospector. All arithmetic is on unsigned
 * 32-bit integers that wrap.
 */
function mix(x: number): number {
  let h = x >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * A pseudo-random number in [0, 1) that depends on `seed` and `counter` alone, the same bit for bit on every backend:
 *
 *     mix(x):  x ^= x >> 16;  x *= 0x7feb352d;  x ^= x >> 15;  x *= 0x846ca68b;  x ^= x >> 16
 *     uniform(seed, counter) = (mix(counter ^ mix(seed + 0x9e3779b9)) >> 8) / 2^24
 *
 * on u32 that wrap, shifts filling with zeros. The top 24 bits are exact in an f32. `seed` and `counter` are whole
 * numbers, taken modulo 2^32; an i32 counts as its 32 bits.
 */
export const randomUniform = (seed: number, counter: number): number =>
  (mix((counter >>> 0) ^ mix(seed + 0x9e3779b9)) >>> 8) / 2 ** 24;
