struct Uniforms {
  scores_at: u32,
  positions_at: u32,
  offset_at: u32,
  length_at: u32,
  keep_at: u32,
  rows_at: u32,
  count_at: u32,
  heads: u32,
  capacity: u32,
  most: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> scores_data: array<f32>;
@group(0) @binding(2) var<storage, read> positions_data: array<i32>;
@group(0) @binding(3) var<storage, read> offset_data: array<i32>;
@group(0) @binding(4) var<storage, read_write> rows_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> count_data: array<i32>;
// topk: one workgroup for each head. A radix select over the scores finds the least score that is kept. If more rows
// have it than may stay, a second one over their positions finds the highest position that is kept. Then the rows are
// written in ascending order, 256 at a time. Keys are floats mapped to u32 of the same order, -0 as 0; NaN is 0, below
// all.
// The sum over the threads before this one, and the sum over all threads. Every thread must call.
var<workgroup> scanned: array<u32, 256>;
fn before_and_all(x: u32, local: u32) -> vec2u {
  scanned[local] = x;
  workgroupBarrier();
  for (var step = 1u; step < 256u; step *= 2u) {
    var lower = 0u;
    if local >= step {
      lower = scanned[local - step];
    }
    workgroupBarrier();
    scanned[local] += lower;
    workgroupBarrier();
  }
  let result = vec2u(scanned[local] - x, scanned[255]);
  workgroupBarrier();
  return result;
}

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

// Infinity and NaN. WGSL has no literals for them, and rejects constant expressions that yield them, so they are made
// at run time.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

var<workgroup> facts: vec3u;
var<private> head: u32;
var<private> length: u32;
var<private> start: u32;
// The keys that are counted: 0 for scores, 1 for positions of rows whose score is `least`.
var<private> stage: u32;
var<private> least: u32;

fn score_key(row: u32) -> u32 {
  let x = scores_data[u.scores_at + head * u.capacity + row];
  if is_nan(x) {
    return 0u;
  }
  let bits = select(bitcast<u32>(x), 0u, x == 0.0);
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// The key is greatest for the lowest position.
fn position_key(row: u32) -> u32 {
  return ~(bitcast<u32>(positions_data[u.positions_at + start + row]) ^ 0x80000000u);
}

fn tally(prefix: u32, shift: u32, local: u32) {
  for (var row = local; row < length; row += 256u) {
    var key = score_key(row);
    if stage == 1u {
      if key != least {
        continue;
      }
      key = position_key(row);
    }
    if under(key, prefix, shift) {
      count_digit((key >> shift) & 255u);
    }
  }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = group.y * groups.x + group.x;
  if index >= u.heads {
    return;
  }
  head = index;
  // The value goes through shared memory, which proves to the compiler that the barriers below are uniform.
  if local == 0u {
    let rows = max(offset_data[u.length_at + head], 0i);
    facts = vec3u(u32(rows), u32(offset_data[u.offset_at + head]), min(u32(clamp(offset_data[u.keep_at + head], 0i, rows)), u.most));
  }
  let known = workgroupUniformLoad(&facts);
  length = known.x;
  start = known.y;
  let kept = known.z;
  if local == 0u {
    count_data[u.count_at + head] = i32(kept);
  }
  if kept == 0u {
    return;
  }
  stage = 0u;
  let score = select_greatest(kept, local);
  least = score.x;
  stage = 1u;
  let position = select_greatest(score.y, local).x;
  var written = 0u;
  for (var first = 0u; first < known.x; first += 256u) {
    let row = first + local;
    var stays = false;
    if row < known.x {
      let key = score_key(row);
      stays = key > least || (key == least && position_key(row) >= position);
    }
    let place = before_and_all(select(0u, 1u, stays), local);
    if stays {
      rows_data[u.rows_at + head * u.most + written + place.x] = i32(row);
    }
    written += place.y;
  }
}
