// Radix select: the key of the `rank`-th greatest of the keys that `tally` counts, 8 bits at a time, from histograms in
// shared memory. It counts integers, so the result is the same every time. The kernel defines `fn tally(prefix: u32,
// shift: u32, local: u32)`, which calls `count_digit((key >> shift) & 255u)` for every key whose bits above shift + 8
// equal those of prefix.
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> found: vec2u;

fn count_digit(digit: u32) {
  atomicAdd(&histogram[digit], 1u);
}

// Whether the bits of a key above the 8 at `shift` equal those of prefix.
fn under(key: u32, prefix: u32, shift: u32) -> bool {
  return shift == 24u || (key >> (shift + 8u)) == (prefix >> (shift + 8u));
}

// x: the key. y: how many keys equal to it are among the `rank` greatest. rank is from 1 to the number of keys.
fn select_greatest(rank: u32, local: u32) -> vec2u {
  var prefix = 0u;
  var left = rank;
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    atomicStore(&histogram[local], 0u);
    workgroupBarrier();
    tally(prefix, shift, local);
    workgroupBarrier();
    // The thread whose digit contains the rank; keys of greater digits come before it.
    let own = atomicLoad(&histogram[255u - local]);
    let above = before_and_all(own, local).x;
    if above < left && left <= above + own {
      found = vec2u(255u - local, left - above);
    }
    workgroupBarrier();
    prefix |= workgroupUniformLoad(&found).x << shift;
    left = workgroupUniformLoad(&found).y;
  }
  return vec2u(prefix, left);
}
