struct Uniforms {
  keys_at: u32,
  values_at: u32,
  cells_at: u32,
  offset_at: u32,
  length_at: u32,
  ended_at: u32,
  rows_at: u32,
  count_at: u32,
  heads: u32,
  kv_heads: u32,
  most: u32,
  words: u32,
  arena_rows: u32,
  planes: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> keys_data: array<u32>;
@group(0) @binding(2) var<storage, read_write> values_data: array<u32>;
@group(0) @binding(3) var<storage, read_write> cells_data: array<u32>;
@group(0) @binding(4) var<storage, read_write> offset_data: array<u32>;
@group(0) @binding(5) var<storage, read> rows_data: array<u32>;
@group(0) @binding(6) var<storage, read> count_data: array<u32>;
// evict: one workgroup for each head. It lowers the ranks, moves the rows, and stores the new length last.
// ORDERED: rows move in tiles, and a tile is loaded before any of it is stored (a row never moves up). Otherwise the
// survivors at or beyond `count` move into the holes below it, which are different places. 16-bit rows are whole words.
const THREADS = 256u;
var<workgroup> staged: array<u32, THREADS>;
var<workgroup> facts: vec3u;
var<private> head: u32;

// The index of the first of `count` survivors that is at least `row`.
fn first_from(row: u32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while low < high {
    let middle = (low + high) / 2u;
    if rows_data[u.rows_at + head * u.most + middle] < row {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

// The i-th row, counted from 0, that is not among the first `stay` survivors.
fn hole(i: u32, stay: u32) -> u32 {
  var low = 0u;
  var high = stay;
  while low < high {
    let middle = (low + high) / 2u;
    if rows_data[u.rows_at + head * u.most + middle] - middle <= i {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return i + low;
}

// Word `w` of a row. Words of the key come first, then those of the value, then those of the cells.
fn load_word(row: u32, w: u32) -> u32 {
  if w < u.words {
    return keys_data[u.keys_at + row * u.words + w];
  }
  if w < 2u * u.words {
    return values_data[u.values_at + row * u.words + w - u.words];
  }
  return cells_data[u.cells_at + (w - 2u * u.words) * u.arena_rows + row];
}

fn store_word(row: u32, w: u32, x: u32) {
  if w < u.words {
    keys_data[u.keys_at + row * u.words + w] = x;
  } else if w < 2u * u.words {
    values_data[u.values_at + row * u.words + w - u.words] = x;
  } else {
    cells_data[u.cells_at + (w - 2u * u.words) * u.arena_rows + row] = x;
  }
}

@compute @workgroup_size(THREADS)
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
    let count = count_data[u.count_at + head];
    let still = offset_data[u.ended_at + head / u.kv_heads] != 0u || count >= offset_data[u.length_at + head];
    facts = vec3u(count, select(offset_data[u.length_at + head], 0u, still), offset_data[u.offset_at + head]);
  }
  let known = workgroupUniformLoad(&facts);
  let count = known.x;
  let length = known.y;
  let start = known.z;
  if length == 0u {
    return;
  }
  let all = 2u * u.words + u.planes;
  for (var first = 0u; first < count; first += THREADS) {
    let i = first + local;
    let at = u.arena_rows + start + rows_data[u.rows_at + head * u.most + min(i, count - 1u)];
    let rank = bitcast<i32>(cells_data[u.cells_at + at]);
    var lower = 0i;
    for (var base = 0u; base < length - count; base += THREADS) {
      if base + local < length - count {
        staged[local] = cells_data[u.cells_at + u.arena_rows + start + hole(base + local, count)];
      }
      workgroupBarrier();
      for (var e = 0u; e < min(THREADS, length - count - base); e++) {
        lower += select(0i, 1i, bitcast<i32>(staged[e]) < rank);
      }
      workgroupBarrier();
    }
    if i < count {
      cells_data[u.cells_at + at] = bitcast<u32>(rank - lower);
    }
  }
  storageBarrier();
  // Rows before the first hole stay where they are.
  if local == 0u {
    facts.x = min(hole(0u, count), count);
  }
  let first = workgroupUniformLoad(&facts).x;
  for (var w = first * all; w < count * all; w += THREADS) {
    let at = w + local;
    let place = at / all;
    var x = 0u;
    if at < count * all {
      x = load_word(start + rows_data[u.rows_at + head * u.most + place], at % all);
    }
    storageBarrier();
    if at < count * all {
      store_word(start + place, at % all, x);
    }
    storageBarrier();
  }
  workgroupBarrier();
  if local == 0u {
    offset_data[u.length_at + head] = count;
  }
}
