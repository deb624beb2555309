enable subgroups;
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
const SUBGROUP = 32u;
const HIGH = 1u;
const DEPTH = 8u;
const GROUP = 4u;
const OCTS_OF_LANE = 8u;
const PIECES = 4u;
const QUADS = 4u;
const PAIRS = 2u;
struct Uniforms {
  qkv_at: u32,
  keys_at: u32,
  lse_at: u32,
  offset_at: u32,
  length_at: u32,
  ended_at: u32,
  mass_at: u32,
  tokens: u32,
  query_heads: u32,
  kv_heads: u32,
  capacity: u32,
  first: u32,
  first_head: u32,
  scale: f32,
  softcap: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> keys_data: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> lse_data: array<f32>;
@group(0) @binding(4) var<storage, read> offset_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> mass_data: array<f32>;
// watch: column sums of attention's weights on a subgroup's matrix units. A workgroup takes 64 HIGH rows of one head and walks the tiles of 32 queries that see any of
// them, in ascending order; the lane that owns a row adds its weights up, and so the same every time. Rows stay in registers, HIGH x DEPTH matrices.
// 16-bit floats, two to a word, the even one in the low half. Rounding is to nearest, ties to even; numbers beyond the
// range of f16 become infinity.
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

// Rows for a subgroup's matrix units, in f16: a workgroup of four subgroups has 64 HIGH rows, a subgroup 16 HIGH of them, and each row belongs to one lane, or with HIGH = 1
// to two, PART 0 and 1. Numbers are bounded by what f16 holds.
const THREADS = 128u;
const OWNED = 16u * HIGH;
const OCTS = 2u * DEPTH;
// Lines of shared memory, padded by 16 bytes so that neighbours lie in different banks: of staged rows; of 32 products, or half a row's sums; of 32 weights.
const STRIDE = OCTS + 1u;
const SCORES = max(9u, STRIDE);
const WEIGHTS = 5u;
var<workgroup> scores: array<vec4f, 64u * HIGH * SCORES>;
var<workgroup> weights: array<vec4<u32>, 64u * HIGH * WEIGHTS>;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  let low = clamp(a, vec4f(-65504.0), vec4f(65504.0));
  let high = clamp(b, vec4f(-65504.0), vec4f(65504.0));
  return vec4<u32>(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy), pack2x16float(high.zw));
}

// Eight numbers of a query, times the scale.
fn query_piece(row: u32, oct: u32) -> vec4<u32> {
  let at = (row * OCTS + oct) * 2u;
  return packed(u.scale * qkv_data[u.qkv_at + at], u.scale * qkv_data[u.qkv_at + at + 1u]);
}

fn half_piece(bits: vec4<u32>) -> vec4<u32> {
  return packed(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
}

fn capped(x: vec4f) -> vec4f {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, vec4f(-15.0), vec4f(15.0)));
  }
  return x;
}

var<workgroup> query_tile: array<vec4<u32>, 32u * STRIDE>;
var<workgroup> lse_tile: array<vec4f, 8>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup_row = local / 32u * OWNED;
  let own = subgroup_row + lane % OWNED;
  let part = lane / OWNED;
  let head = group.y + u.first_head;
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let first_row = group.x * 64u * HIGH;
  let length = u32(offset_data[u.length_at + kv_head]);
  let rows = length + u.tokens;
  if offset_data[u.ended_at + sequence] != 0i || first_row >= rows {
    return;
  }
  let start = u32(offset_data[u.offset_at + kv_head]);
  let row = first_row + own;
  scores[own * SCORES + part * OCTS_OF_LANE + 0u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 0u]));
  scores[own * SCORES + part * OCTS_OF_LANE + 1u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 1u]));
  scores[own * SCORES + part * OCTS_OF_LANE + 2u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 2u]));
  scores[own * SCORES + part * OCTS_OF_LANE + 3u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 3u]));
  scores[own * SCORES + part * OCTS_OF_LANE + 4u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 4u]));
  scores[own * SCORES + part * OCTS_OF_LANE + 5u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 5u]));
  scores[own * SCORES + part * OCTS_OF_LANE + 6u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 6u]));
  scores[own * SCORES + part * OCTS_OF_LANE + 7u] = bitcast<vec4f>(half_piece(keys_data[u.keys_at + (start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + 7u]));
  workgroupBarrier();
  let keys0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 0u, SCORES);
  let keys0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 1u, SCORES);
  let keys0_2 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 2u, SCORES);
  let keys0_3 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 3u, SCORES);
  let keys0_4 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 4u, SCORES);
  let keys0_5 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 5u, SCORES);
  let keys0_6 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 6u, SCORES);
  let keys0_7 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 2u * 7u, SCORES);
  // The first query that counts and sees the row.
  let earliest = max(u.first, max(row, length) - length);
  var mass = 0.0;
  for (var first = max(u.first, max(first_row, length) - length) / 32u * 32u; first < u.tokens; first += 32u) {
    workgroupBarrier();
    {
      let line = (local + THREADS * 0u) / OCTS;
      let piece = (local + THREADS * 0u) % OCTS;
      let query = sequence * u.tokens + min(first + line, u.tokens - 1u);
      query_tile[line * STRIDE + piece] = query_piece(query * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads, piece);
    }
    {
      let line = (local + THREADS * 1u) / OCTS;
      let piece = (local + THREADS * 1u) % OCTS;
      let query = sequence * u.tokens + min(first + line, u.tokens - 1u);
      query_tile[line * STRIDE + piece] = query_piece(query * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads, piece);
    }
    {
      let line = (local + THREADS * 2u) / OCTS;
      let piece = (local + THREADS * 2u) % OCTS;
      let query = sequence * u.tokens + min(first + line, u.tokens - 1u);
      query_tile[line * STRIDE + piece] = query_piece(query * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads, piece);
    }
    {
      let line = (local + THREADS * 3u) / OCTS;
      let piece = (local + THREADS * 3u) % OCTS;
      let query = sequence * u.tokens + min(first + line, u.tokens - 1u);
      query_tile[line * STRIDE + piece] = query_piece(query * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads, piece);
    }
    if local < 32u {
      lse_tile[local / 4u][local % 4u] = lse_data[u.lse_at + head * u.tokens + min(first + local, u.tokens - 1u)];
    }
    workgroupBarrier();
    {
      var logits0 = subgroup_matrix_result<f32, 16, 16>();
      let queries0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 0u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_0, queries0, logits0);
      let queries1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 1u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_1, queries1, logits0);
      let queries2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 2u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_2, queries2, logits0);
      let queries3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 3u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_3, queries3, logits0);
      let queries4 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 4u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_4, queries4, logits0);
      let queries5 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 5u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_5, queries5, logits0);
      let queries6 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 6u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_6, queries6, logits0);
      let queries7 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 0u * STRIDE + 2u * 7u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_7, queries7, logits0);
      subgroupMatrixStore<row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 4u * 0u, logits0, SCORES);
    }
    {
      var logits0 = subgroup_matrix_result<f32, 16, 16>();
      let queries0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 0u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_0, queries0, logits0);
      let queries1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 1u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_1, queries1, logits0);
      let queries2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 2u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_2, queries2, logits0);
      let queries3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 3u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_3, queries3, logits0);
      let queries4 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 4u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_4, queries4, logits0);
      let queries5 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 5u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_5, queries5, logits0);
      let queries6 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 6u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_6, queries6, logits0);
      let queries7 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * 1u * STRIDE + 2u * 7u, STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(keys0_7, queries7, logits0);
      subgroupMatrixStore<row_major>(&scores, (subgroup_row + 16u * 0u) * SCORES + 4u * 1u, logits0, SCORES);
    }
    workgroupBarrier();
    {
      let quad = part * QUADS + 0u;
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let weight = exp(capped(scores[own * SCORES + quad]) - lse_tile[quad]);
      let counted = select(vec4f(), weight, (query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += counted.x + counted.y + counted.z + counted.w;
    }
    {
      let quad = part * QUADS + 1u;
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let weight = exp(capped(scores[own * SCORES + quad]) - lse_tile[quad]);
      let counted = select(vec4f(), weight, (query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += counted.x + counted.y + counted.z + counted.w;
    }
    {
      let quad = part * QUADS + 2u;
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let weight = exp(capped(scores[own * SCORES + quad]) - lse_tile[quad]);
      let counted = select(vec4f(), weight, (query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += counted.x + counted.y + counted.z + counted.w;
    }
    {
      let quad = part * QUADS + 3u;
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let weight = exp(capped(scores[own * SCORES + quad]) - lse_tile[quad]);
      let counted = select(vec4f(), weight, (query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += counted.x + counted.y + counted.z + counted.w;
    }
  }
  mass += subgroupShuffleXor(mass, 16u);
  if part == 0u && row < rows {
    mass_data[u.mass_at + head * u.capacity + row] += mass;
  }
}
