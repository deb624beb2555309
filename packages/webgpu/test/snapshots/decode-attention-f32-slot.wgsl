const ROWS_AT_ONCE = 64u;
const HEADS = 4u;
const QUADS = 16u;
const QUAD_LANES = 16u;
struct Uniforms {
  qkv_at: u32,
  keys_at: u32,
  values_at: u32,
  cells_at: u32,
  table_at: u32,
  offset_at: u32,
  length_at: u32,
  ended_at: u32,
  out_at: u32,
  lse_at: u32,
  query_heads: u32,
  kv_heads: u32,
  size: u32,
  splits: u32,
  arena_rows: u32,
  rotary: u32,
  table_rows: u32,
  scale: f32,
  softcap: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<f32>;
@group(0) @binding(2) var<storage, read> keys_data: array<u32>;
@group(0) @binding(3) var<storage, read> values_data: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> cells_data: array<u32>;
@group(0) @binding(5) var<storage, read> table_data: array<f32>;
@group(0) @binding(6) var<storage, read> offset_data: array<i32>;
@group(0) @binding(7) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(8) var<storage, read_write> lse_data: array<f32>;
// decodeAttention: one query a sequence, in two dispatches (Flash-Decoding). `split`: a workgroup of ROWS_AT_ONCE threads takes as many rows of one KV head, and
// HEADS of the query heads that share it. First a thread for each row computes its logits, then the maximum and the sum of each query head, then threads
// walk the values: QUAD_LANES of them a row. The grid covers `capacity` rows; workgroups beyond a head's length leave at once. `merge` adds the splits of
// a query head up, in order. With one split, `split` writes the result itself.
// SLOT: keys lie unrotated, and turn to their rank as they are read.
//
// Partial results, [query head, split]: maximum, sum, then the sum of weighted values.
// WGSL has no literal for them, and a compiler must not see through.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// RoPE of one number of a row of keys: number j pairs with j + rotary / 2, numbers from `rotary` on stay; positions are clamped to the table.
// One number of keys, whose rows have u.size numbers of type KV.
// 16-bit floats, two to a word, the even one in the low half. Rounding is to nearest, ties to even; beyond the range of f16 lies infinity.
fn f16_pair(word: u32) -> vec2f {
  return unpack2x16float(word);
}

fn bf16_pair(word: u32) -> vec2f {
  return vec2f(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

fn f16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if size > 0x7f800000u {
    return 0x7e00u;
  }
  if size >= 0x47800000u {
    return sign | 0x7c00u;
  }
  if size < 0x38800000u {
    return sign | u32(round(bitcast<f32>(size) * 16777216.0));
  }
  return sign | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u);
}

fn bf16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if (bits & 0x7fffffffu) > 0x7f800000u {
    return (bits >> 16u) | 0x40u;
  }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

fn f16_word(pair: vec2f) -> u32 {
  return f16_bits(pair.x) | (f16_bits(pair.y) << 16u);
}

fn bf16_word(pair: vec2f) -> u32 {
  return bf16_bits(pair.x) | (bf16_bits(pair.y) << 16u);
}

fn keys_element(row: u32, j: u32) -> f32 {
  let index = row * u.size + j;
  return bitcast<f32>(keys_data[u.keys_at + index]);
}

fn keys_turned(row: u32, j: u32, position: i32) -> f32 {
  let x = keys_element(row, j);
  if j >= u.rotary {
    return x;
  }
  let half = u.rotary / 2u;
  let at = u32(clamp(position, 0i, i32(u.table_rows) - 1i)) * u.rotary;
  if j < half {
    return x * table_data[u.table_at + at + j] - keys_element(row, j + half) * table_data[u.table_at + at + half + j];
  }
  return x * table_data[u.table_at + at + j - half] + keys_element(row, j - half) * table_data[u.table_at + at + j];
}

// Four numbers of a row of values, from number 4 q on; zeros past its end. WIDE: rows are whole quads and every load is one.
fn values_quad(row: u32, q: u32) -> vec4f {
  let bits = values_data[u.values_at + row * (u.size / 4u) + q];
  return bitcast<vec4f>(bits);
}

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
  let rows = u32(offset_data[u.length_at + kv_head]) + select(0u, 1u, offset_data[u.ended_at + sequence] == 0i);
  let first_row = group.x * ROWS_AT_ONCE;
  if rows == 0u {
    for (var i = local; i < heads * u.size; i += ROWS_AT_ONCE) {
      out_data[u.out_at + (sequence * u.query_heads + first_head) * u.size + i] = 0.0;
    }
    if local < heads {
      lse_data[u.lse_at + sequence * u.query_heads + first_head + local] = -infinity();
    }
    return;
  }
  let start = u32(offset_data[u.offset_at + kv_head]);
  for (var i = local; i < HEADS * QUADS; i += ROWS_AT_ONCE) {
    let row = sequence * (u.query_heads + 2u * u.kv_heads) + first_head + i / QUADS;
    var quad = vec4f();
    for (var c = 0u; c < 4u; c++) {
      let j = 4u * (i % QUADS) + c;
      if i / QUADS < heads && j < u.size {
        quad[c] = u.scale * qkv_data[u.qkv_at + row * u.size + j];
      }
    }
    query[i] = quad;
  }
  workgroupBarrier();
  let row = first_row + local;
  var logits: array<f32, HEADS>;
  if row < rows {
    let position = bitcast<i32>(cells_data[u.cells_at + u.arena_rows + start + row]);
    for (var j = 0u; j < u.size; j++) {
      let k = keys_turned(start + row, j, position);
      for (var h = 0u; h < HEADS; h++) {
        logits[h] += k * query[h * QUADS + j / 4u][j % 4u];
      }
    }
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
    lse_data[u.lse_at + sequence * u.query_heads + first_head + head] = most + log(total);
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
          out_data[u.out_at + query_head * u.size + 4u * q + c] = quad[c] / reduced[h * LANES];
        }
      }
    }
  }
}
