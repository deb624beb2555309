// order: one thread for each row of a head. It counts, tile by tile, the rows at lower positions, and stores itself
// there. No two rows share a position.
const THREADS = 256u;
var<workgroup> facts: vec2u;
var<workgroup> tile: array<i32, THREADS>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.y + group.z * 65535u;
  if head >= u.heads {
    return;
  }
  // The value goes through shared memory, which proves to the compiler that the barriers below are uniform.
  if local == 0u {
    facts = vec2u(u32(max($length[head], 0i)), u32($offset[head]));
  }
  let known = workgroupUniformLoad(&facts);
  let length = known.x;
  let start = known.y;
  if group.x == 0u && local == 0u {
    $count[head] = i32(length);
  }
  if group.x * THREADS >= length {
    return;
  }
  let row = group.x * THREADS + local;
  let position = $positions[start + min(row, length - 1u)];
  var place = 0u;
  for (var base = 0u; base < length; base += THREADS) {
    tile[local] = $positions[start + min(base + local, length - 1u)];
    workgroupBarrier();
    for (var i = 0u; i < min(THREADS, length - base); i++) {
      place += select(0u, 1u, tile[i] < position);
    }
    workgroupBarrier();
  }
  if row < length {
    $rows[head * u.capacity + place] = i32(row);
  }
}
