// apportion: a workgroup for each sequence. The least score key that gets in is found bit by bit: the greatest
// threshold under which the heads, each between its limits, still hold enough rows. Of the rows on the threshold the
// lowest positions get in, found in the same way, and at the last position the lower heads. Integers only, so the
// outcome is the same every time. Keys: as in topk. Positions: i32 in their order, as u32.
#include infinity
var<workgroup> counted: array<u32, 256>;
var<workgroup> facts: vec4u;
var<private> sequence: u32;

fn score_key(x: f32) -> u32 {
  if is_nan(x) {
    return 0u;
  }
  let bits = select(bitcast<u32>(x), 0u, x == 0.0);
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn held(h: u32) -> u32 {
  return min(u32(max($length[h], 0i)), u.capacity);
}

fn clamped(h: u32, wanted: u32) -> u32 {
  let least = u32(max($limits[3u * sequence + 1u], 0i));
  let most = max(u32(max($limits[3u * sequence + 2u], 0i)), least);
  return min(min(max(wanted, least), most), held(h));
}

// Rows of head h with a key above the threshold, or on it and at a position up to `bound`; `ties`: whether those count.
fn good(h: u32, threshold: u32, bound: u32, ties: bool, local: u32) -> u32 {
  let n = held(h);
  let start = u32($offset[h]);
  var count = 0u;
  for (var row = local; row < n; row += 256u) {
    let key = score_key($scores[h * u.capacity + row]);
    if key > threshold {
      count++;
    } else if ties && key == threshold && (bitcast<u32>($positions[start + row]) ^ 0x80000000u) <= bound {
      count++;
    }
  }
  workgroupBarrier();
  counted[local] = count;
  workgroupBarrier();
  for (var step = 128u; step > 0u; step /= 2u) {
    if local < step {
      counted[local] += counted[local + step];
    }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&counted[0]);
}

// Rows that all heads get together.
fn total(threshold: u32, bound: u32, ties: bool, local: u32) -> u32 {
  var sum = 0u;
  for (var head = 0u; head < u.kv_heads; head++) {
    let h = sequence * u.kv_heads + head;
    sum += clamped(h, good(h, threshold, bound, ties, local));
  }
  // The value goes through shared memory, which proves to the compiler that the barriers that depend on it are uniform.
  if local == 0u {
    counted[0] = sum;
  }
  return workgroupUniformLoad(&counted[0]);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = group.y * groups.x + group.x;
  if index >= u.sequences {
    return;
  }
  sequence = index;
  if local == 0u {
    facts = vec4u(u32(max($limits[3u * index], 0i)), 0u, 0u, 0u);
  }
  let rows = workgroupUniformLoad(&facts).x;
  var threshold = 0u;
  for (var bit = 0x80000000u; bit != 0u; bit >>= 1u) {
    if total(threshold | bit, 0xffffffffu, true, local) >= rows {
      threshold |= bit;
    }
  }
  // The least bound under which enough get in, if ties are needed at all.
  let ties = total(threshold, 0u, false, local) < rows;
  var bound = 0u;
  if ties {
    var below = 0u;
    for (var bit = 0x80000000u; bit != 0u; bit >>= 1u) {
      if total(threshold, below | (bit - 1u), true, local) < rows {
        below |= bit;
      }
    }
    bound = below;
  }
  var over = 0u;
  let all = total(threshold, bound, ties, local);
  if all > rows {
    over = all - rows;
  }
  for (var back = 0u; back < u.kv_heads; back++) {
    let h = sequence * u.kv_heads + u.kv_heads - 1u - back;
    var keep = clamped(h, good(h, threshold, bound, ties, local));
    let before = clamped(h, good(h, threshold, max(bound, 1u) - 1u, ties && bound > 0u, local));
    if over > 0u && keep > before {
      keep--;
      over--;
    }
    if local == 0u {
      $keep[h] = i32(keep);
    }
  }
}
