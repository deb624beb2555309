// Pseudo-random numbers that depend on a seed and a counter alone: see reference/random.ts in @ziggurat/tensor.

function mix(x: u32): u32 {
  x = (x ^ (x >> 16)) * 0x7feb352d;
  x = (x ^ (x >> 15)) * 0x846ca68b;
  return x ^ (x >> 16);
}

/** In [0, 1), with 24 bits. */
export function uniform(seed: u32, counter: u32): f32 {
  return <f32>(mix(counter ^ mix(seed + 0x9e3779b9)) >> 8) / 16777216;
}
