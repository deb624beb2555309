// decodeAttention: one query a sequence, in two dispatches (Flash-Decoding). `split`: a workgroup of ROWS_AT_ONCE threads takes as many rows of one KV head, and
// HEADS of the query heads that share it. First a thread for each row computes its logits, then the maximum and the sum of each query head, then threads
// walk the values: QUAD_LANES of them a row. The grid covers `capacity` rows; workgroups beyond a head's length leave at once. `merge` adds the splits of
// a query head up, in order. With one split, `split` writes the result itself.
// SLOT: keys lie unrotated, and turn to their rank as they are read.
//
// Partial results, [query head, split]: maximum, sum, then the sum of weighted values.
#include infinity
#if MERGE
const THREADS = 64u;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.x;
  let sequence = group.y;
  let kv_head = sequence * u.kv_heads + head / (u.query_heads / u.kv_heads);
  let rows = u32($length[kv_head]) + select(0u, 1u, $ended[sequence] == 0i);
  let splits = (rows + u.rows_at_once - 1u) / u.rows_at_once;
  let query = sequence * u.query_heads + head;
  let base = query * u.splits;
  let stride = u.size + 2u;
  var most = -infinity();
  for (var s = 0u; s < splits; s++) {
    most = max(most, $partial[(base + s) * stride]);
  }
  var total = 0.0;
  for (var s = 0u; s < splits; s++) {
    total += $partial[(base + s) * stride + 1u] * exp($partial[(base + s) * stride] - most);
  }
  for (var j = local; j < u.size; j += THREADS) {
    var sum = 0.0;
    for (var s = 0u; s < splits; s++) {
      sum += $partial[(base + s) * stride + 2u + j] * exp($partial[(base + s) * stride] - most);
    }
    $out[query * u.size + j] = select(0.0, sum / total, splits > 0u);
  }
  if local == 0u {
    $lse[query] = select(-infinity(), most + log(total), splits > 0u);
  }
}
#else
#if SLOT
#include rotation keys
#else
#include quad keys
#endif
#include quad values
const LANES = ROWS_AT_ONCE / HEADS;
const ROW_TEAMS = ROWS_AT_ONCE / QUAD_LANES;
var<workgroup> query: array<vec4f, HEADS * QUADS>;
var<workgroup> weights: array<f32, HEADS * ROWS_AT_ONCE>;
var<workgroup> reduced: array<f32, ROWS_AT_ONCE>;
var<workgroup> gathered: array<vec4f, ROWS_AT_ONCE>;

@compute @workgroup_size(ROWS_AT_ONCE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let share = u.query_heads / u.kv_heads;
  let blocks = (share + HEADS - 1u) / HEADS;
  let sequence = group.z;
  let kv_head = sequence * u.kv_heads + group.y / blocks;
  // Query heads of this workgroup: `heads` from `first_head` on.
  let in_group = group.y % blocks * HEADS;
  let heads = min(HEADS, share - in_group);
  let first_head = group.y / blocks * share + in_group;
  let rows = u32($length[kv_head]) + select(0u, 1u, $ended[sequence] == 0i);
  let first_row = group.x * ROWS_AT_ONCE;
#if SINGLE
  if rows == 0u {
    for (var i = local; i < heads * u.size; i += ROWS_AT_ONCE) {
      $out[(sequence * u.query_heads + first_head) * u.size + i] = 0.0;
    }
    if local < heads {
      $lse[sequence * u.query_heads + first_head + local] = -infinity();
    }
    return;
  }
#else
  if first_row >= rows {
    return;
  }
#endif
  let start = u32($offset[kv_head]);
  for (var i = local; i < HEADS * QUADS; i += ROWS_AT_ONCE) {
    let row = sequence * (u.query_heads + 2u * u.kv_heads) + first_head + i / QUADS;
    var quad = vec4f();
    for (var c = 0u; c < 4u; c++) {
      let j = 4u * (i % QUADS) + c;
      if i / QUADS < heads && j < u.size {
        quad[c] = u.scale * $qkv[row * u.size + j];
      }
    }
    query[i] = quad;
  }
  workgroupBarrier();
  let row = first_row + local;
  var logits: array<f32, HEADS>;
  if row < rows {
#if SLOT
    let position = bitcast<i32>($cells[u.arena_rows + start + row]);
    for (var j = 0u; j < u.size; j++) {
      let k = keys_turned(start + row, j, position);
      for (var h = 0u; h < HEADS; h++) {
        logits[h] += k * query[h * QUADS + j / 4u][j % 4u];
      }
    }
#else
    for (var q = 0u; q < QUADS; q++) {
      let k = keys_quad(start + row, q);
      for (var h = 0u; h < HEADS; h++) {
        logits[h] += dot(k, query[h * QUADS + q]);
      }
    }
#endif
  }
  for (var h = 0u; h < HEADS; h++) {
    var x = logits[h];
    if u.softcap > 0.0 {
      x = u.softcap * tanh(clamp(x / u.softcap, -15.0, 15.0));
    }
    weights[h * ROWS_AT_ONCE + local] = select(-infinity(), x, row < rows);
  }
  workgroupBarrier();
  // LANES threads for each query head.
  let head = local / LANES;
  let lane = local % LANES;
  var most = -infinity();
  for (var i = lane; i < ROWS_AT_ONCE; i += LANES) {
    most = max(most, weights[head * ROWS_AT_ONCE + i]);
  }
  reduced[local] = most;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if lane < half {
      reduced[local] = max(reduced[local], reduced[local + half]);
    }
  }
  workgroupBarrier();
  most = reduced[head * LANES];
  workgroupBarrier();
  var sum = 0.0;
  for (var i = lane; i < ROWS_AT_ONCE; i += LANES) {
    let weight = exp(weights[head * ROWS_AT_ONCE + i] - most);
    weights[head * ROWS_AT_ONCE + i] = weight;
    sum += weight;
  }
  reduced[local] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if lane < half {
      reduced[local] += reduced[local + half];
    }
  }
  workgroupBarrier();
  let total = reduced[head * LANES];
  let place = (sequence * u.query_heads + first_head + head) * u.splits + group.x;
  if lane == 0u && head < heads {
#if SINGLE
    $lse[sequence * u.query_heads + first_head + head] = most + log(total);
#else
    $partial[place * (u.size + 2u)] = most;
    $partial[place * (u.size + 2u) + 1u] = total;
#endif
  }
  // QUAD_LANES threads for each row.
  let q = local % QUAD_LANES;
  let team = local / QUAD_LANES;
  var sums: array<vec4f, HEADS>;
  if q < QUADS {
    for (var i = team; i < min(ROWS_AT_ONCE, rows - first_row); i += ROW_TEAMS) {
      let v = values_quad(start + first_row + i, q);
      for (var h = 0u; h < HEADS; h++) {
        sums[h] += weights[h * ROWS_AT_ONCE + i] * v;
      }
    }
  }
  for (var h = 0u; h < heads; h++) {
    workgroupBarrier();
    gathered[local] = sums[h];
    workgroupBarrier();
    if team == 0u && q < QUADS {
      var quad = vec4f();
      for (var t = 0u; t < ROW_TEAMS; t++) {
        quad += gathered[t * QUAD_LANES + q];
      }
      let query_head = sequence * u.query_heads + first_head + h;
      for (var c = 0u; c < 4u; c++) {
        if 4u * q + c < u.size {
#if SINGLE
          $out[query_head * u.size + 4u * q + c] = quad[c] / reduced[h * LANES];
#else
          $partial[(query_head * u.splits + group.x) * (u.size + 2u) + 2u + 4u * q + c] = quad[c];
#endif
        }
      }
    }
  }
}
#endif
