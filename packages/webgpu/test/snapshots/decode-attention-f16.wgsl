const ROWS_AT_ONCE = 128u;
const HEADS = 4u;
const QUADS = 16u;
const QUAD_LANES = 16u;
struct Uniforms {
  qkv_at: u32,
  keys_at: u32,
  values_at: u32,
  offset_at: u32,
  length_at: u32,
  ended_at: u32,
  partial_at: u32,
  query_heads: u32,
  kv_heads: u32,
  size: u32,
  splits: u32,
  scale: f32,
  softcap: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<f32>;
@group(0) @binding(2) var<storage, read> keys_data: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> values_data: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> offset_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> partial_data: array<f32>;
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

// Four numbers of a row of keys, from number 4 q on; zeros past its end. WIDE: rows are whole quads and every load is one.
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

fn keys_quad(row: u32, q: u32) -> vec4f {
  let bits = keys_data[u.keys_at + row * (u.size / 4u) + q];
  return vec4f(f16_pair(bits.x), f16_pair(bits.y));
}

// Four numbers of a row of values, from number 4 q on; zeros past its end. WIDE: rows are whole quads and every load is one.
fn values_quad(row: u32, q: u32) -> vec4f {
  let bits = values_data[u.values_at + row * (u.size / 4u) + q];
  return vec4f(f16_pair(bits.x), f16_pair(bits.y));
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
  if first_row >= rows {
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
    for (var q = 0u; q < QUADS; q++) {
      let k = keys_quad(start + row, q);
      for (var h = 0u; h < HEADS; h++) {
        logits[h] += dot(k, query[h * QUADS + q]);
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
    partial_data[u.partial_at + place * (u.size + 2u)] = most;
    partial_data[u.partial_at + place * (u.size + 2u) + 1u] = total;
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
          partial_data[u.partial_at + (query_head * u.splits + group.x) * (u.size + 2u) + 2u + 4u * q + c] = quad[c];
        }
      }
    }
  }
}

// ---- the next dispatch

struct Uniforms {
  partial_at: u32,
  length_at: u32,
  ended_at: u32,
  out_at: u32,
  lse_at: u32,
  query_heads: u32,
  kv_heads: u32,
  size: u32,
  splits: u32,
  rows_at_once: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partial_data: array<f32>;
@group(0) @binding(2) var<storage, read> length_data: array<i32>;
@group(0) @binding(3) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse_data: array<f32>;
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

const THREADS = 64u;
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.x;
  let sequence = group.y;
  let kv_head = sequence * u.kv_heads + head / (u.query_heads / u.kv_heads);
  let rows = u32(length_data[u.length_at + kv_head]) + select(0u, 1u, length_data[u.ended_at + sequence] == 0i);
  let splits = (rows + u.rows_at_once - 1u) / u.rows_at_once;
  let query = sequence * u.query_heads + head;
  let base = query * u.splits;
  let stride = u.size + 2u;
  var most = -infinity();
  for (var s = 0u; s < splits; s++) {
    most = max(most, partial_data[u.partial_at + (base + s) * stride]);
  }
  var total = 0.0;
  for (var s = 0u; s < splits; s++) {
    total += partial_data[u.partial_at + (base + s) * stride + 1u] * exp(partial_data[u.partial_at + (base + s) * stride] - most);
  }
  for (var j = local; j < u.size; j += THREADS) {
    var sum = 0.0;
    for (var s = 0u; s < splits; s++) {
      sum += partial_data[u.partial_at + (base + s) * stride + 2u + j] * exp(partial_data[u.partial_at + (base + s) * stride] - most);
    }
    out_data[u.out_at + query * u.size + j] = select(0.0, sum / total, splits > 0u);
  }
  if local == 0u {
    lse_data[u.lse_at + query] = select(-infinity(), most + log(total), splits > 0u);
  }
}
