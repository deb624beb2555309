// uniform(seed, counter) in [0, 1), the same bits on every backend: "lowbias32" of Chris Wellons' hash-prospector.
fn mix32(x: u32) -> u32 {
  var h = x;
  h = (h ^ (h >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return h ^ (h >> 16u);
}

fn uniform_of(seed: u32, counter: u32) -> f32 {
  return f32(mix32(counter ^ mix32(seed + 0x9e3779b9u)) >> 8u) * (1.0 / 16777216.0);
}
