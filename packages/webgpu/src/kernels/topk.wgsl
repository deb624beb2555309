// topk: one workgroup for each head. A radix select over the scores finds the least score that is kept. If more rows
// have it than may stay, a second one over their positions finds the highest position that is kept. Then the rows are
// written in ascending order, 256 at a time. Keys are floats mapped to u32 of the same order, -0 as 0; NaN is 0, below
// all.
#include scan
#include select
#include infinity
var<workgroup> facts: vec3u;
var<private> head: u32;
var<private> length: u32;
var<private> start: u32;
// The keys that are counted: 0 for scores, 1 for positions of rows whose score is `least`.
var<private> stage: u32;
var<private> least: u32;

fn score_key(row: u32) -> u32 {
  let x = $scores[head * u.capacity + row];
  if is_nan(x) {
    return 0u;
  }
  let bits = select(bitcast<u32>(x), 0u, x == 0.0);
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// The key is greatest for the lowest position.
fn position_key(row: u32) -> u32 {
  return ~(bitcast<u32>($positions[start + row]) ^ 0x80000000u);
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
    let rows = max($length[head], 0i);
    facts = vec3u(u32(rows), u32($offset[head]), min(u32(clamp($keep[head], 0i, rows)), u.most));
  }
  let known = workgroupUniformLoad(&facts);
  length = known.x;
  start = known.y;
  let kept = known.z;
  if local == 0u {
    $count[head] = i32(kept);
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
      $rows[head * u.most + written + place.x] = i32(row);
    }
    written += place.y;
  }
}
