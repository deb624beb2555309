// order: one thread for each row of a head. It counts the rows at lower positions, and stores itself there. No two rows
// share a position.
//
// A workgroup first finds the range of its own positions. A row below the range counts for all of its threads; only
// tiles with a row inside the range are compared position by position. Rows are mostly in order, and so are few such
// tiles.
const THREADS = 256u;
// Tiles of THREADS rows whose marks fit at a time.
const TILES = 4096u;
var<workgroup> facts: vec2u;
var<workgroup> least: atomic<i32>;
var<workgroup> greatest: atomic<i32>;
var<workgroup> below: atomic<u32>;
var<workgroup> marks: array<atomic<u32>, TILES / 32u>;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.y + group.z * 65535u;
  if head >= u.heads {
    return;
  }
  // The value goes through shared memory, which proves to the compiler that the barriers below are uniform.
  if local == 0u {
    facts = vec2u(u32(max($length[head], 0i)), u32($offset[head]));
    atomicStore(&least, 0x7fffffffi);
    atomicStore(&greatest, -0x7fffffffi);
    atomicStore(&below, 0u);
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
  atomicMin(&least, position);
  atomicMax(&greatest, position);
  workgroupBarrier();
  let from_position = atomicLoad(&least);
  let to_position = atomicLoad(&greatest);
  var lower = 0u;
  var place = 0u;
  for (var base = 0u; base < length; base += TILES * THREADS) {
    let end = min(base + TILES * THREADS, length);
    for (var i = local; i < TILES / 32u; i += THREADS) {
      atomicStore(&marks[i], 0u);
    }
    workgroupBarrier();
    for (var i = base + local; i < end; i += THREADS) {
      let other = $positions[start + i];
      if other < from_position {
        lower++;
      } else if other <= to_position {
        let tile = (i - base) / THREADS;
        atomicOr(&marks[tile / 32u], 1u << (tile % 32u));
      }
    }
    workgroupBarrier();
    for (var first = base; first < end; first += THREADS) {
      let tile = (first - base) / THREADS;
      if (atomicLoad(&marks[tile / 32u]) & (1u << (tile % 32u))) == 0u {
        continue;
      }
      for (var i = first; i < min(first + THREADS, end); i++) {
        let other = $positions[start + i];
        place += select(0u, 1u, other >= from_position && other < position);
      }
    }
    workgroupBarrier();
  }
  atomicAdd(&below, lower);
  workgroupBarrier();
  if row < length {
    $rows[head * u.capacity + atomicLoad(&below) + place] = i32(row);
  }
}
