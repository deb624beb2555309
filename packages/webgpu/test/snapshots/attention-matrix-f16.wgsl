enable subgroups;
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
const SUBGROUP = 32u;
const HIGH = 2u;
const DEPTH = 4u;
const GROUP = 2u;
const OCTS_OF_LANE = 8u;
const PIECES = 2u;
const QUADS = 8u;
const PAIRS = 4u;
struct Uniforms {
  qkv_at: u32,
  keys_at: u32,
  values_at: u32,
  offset_at: u32,
  length_at: u32,
  out_at: u32,
  lse_at: u32,
  tokens: u32,
  query_heads: u32,
  kv_heads: u32,
  window: u32,
  first_head: u32,
  scale: f32,
  softcap: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> keys_data: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> values_data: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> offset_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse_data: array<f32>;
// attention: prefill of one sequence on a subgroup's matrix units. A workgroup takes 64 HIGH queries of one head, a subgroup 16 HIGH of them, and walks tiles of 32 keys:
// logits to shared memory, where the lane that owns a query turns them into weights, and back as f16 for the product with the values. Queries and sums stay in
// registers, HIGH x DEPTH matrices of 16 x 16 each.
//
// A matrix cannot be scaled row by row. So the base that exponents count from is not the running maximum: it follows only where a logit is more than 8 above it,
// when the sums go through shared memory once to be scaled. Weights reach e^8 at most, which f16 holds. (Lazy rescaling, as in FlashAttention-4.)
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

// Infinity and NaN. WGSL has no literals for them, and rejects constant expressions that yield them, so they are made
// at run time.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
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
  return bits;
}

fn capped(x: vec4f) -> vec4f {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, vec4f(-15.0), vec4f(15.0)));
  }
  return x;
}

var<workgroup> key_tile: array<vec4<u32>, 32u * STRIDE>;
var<workgroup> value_tile: array<vec4<u32>, 32u * STRIDE>;
var<workgroup> grown: atomic<u32>;
var<workgroup> shares: array<f32, 64u * HIGH>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % 32u;
  let first_row = local / 32u * OWNED;
  let own = first_row + lane % OWNED;
  let part = lane / OWNED;
  // The last queries, which see the most, come first.
  let first_query = (groups.x - 1u - group.x) * 64u * HIGH;
  let head = group.y + u.first_head;
  let kv_head = head / (u.query_heads / u.kv_heads);
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let length = u32(offset_data[u.length_at + kv_head]);
  let start = u32(offset_data[u.offset_at + kv_head]);
  let rows = length + min(first_query + 64u * HIGH, u.tokens);
  var first_key = 0u;
  if u.window > 0u && length + first_query + 1u > u.window {
    first_key = (length + first_query + 1u - u.window) / 32u * 32u;
  }
  let query = first_query + own;
  let position = length + query;
  // The keys that this lane's query sees: from `earliest` up to `end`.
  let end = min(position + 1u, rows);
  let earliest = select(0u, position + 1u - u.window, u.window > 0u && position + 1u > u.window);
  scores[own * SCORES + part * OCTS_OF_LANE + 0u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 0u));
  scores[own * SCORES + part * OCTS_OF_LANE + 1u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 1u));
  scores[own * SCORES + part * OCTS_OF_LANE + 2u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 2u));
  scores[own * SCORES + part * OCTS_OF_LANE + 3u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 3u));
  scores[own * SCORES + part * OCTS_OF_LANE + 4u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 4u));
  scores[own * SCORES + part * OCTS_OF_LANE + 5u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 5u));
  scores[own * SCORES + part * OCTS_OF_LANE + 6u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 6u));
  scores[own * SCORES + part * OCTS_OF_LANE + 7u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + 7u));
  workgroupBarrier();
  let query0_0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 2u * (0u * GROUP + 0u), SCORES);
  var sum0_0_0 = subgroup_matrix_result<f32, 16, 16>();
  let query0_0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 2u * (0u * GROUP + 1u), SCORES);
  var sum0_0_1 = subgroup_matrix_result<f32, 16, 16>();
  let query0_1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 2u * (1u * GROUP + 0u), SCORES);
  var sum0_1_0 = subgroup_matrix_result<f32, 16, 16>();
  let query0_1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 2u * (1u * GROUP + 1u), SCORES);
  var sum0_1_1 = subgroup_matrix_result<f32, 16, 16>();
  let query1_0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 2u * (0u * GROUP + 0u), SCORES);
  var sum1_0_0 = subgroup_matrix_result<f32, 16, 16>();
  let query1_0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 2u * (0u * GROUP + 1u), SCORES);
  var sum1_0_1 = subgroup_matrix_result<f32, 16, 16>();
  let query1_1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 2u * (1u * GROUP + 0u), SCORES);
  var sum1_1_0 = subgroup_matrix_result<f32, 16, 16>();
  let query1_1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 2u * (1u * GROUP + 1u), SCORES);
  var sum1_1_1 = subgroup_matrix_result<f32, 16, 16>();
  var base = -infinity();
  var total = 0.0;
  let line0 = (local + THREADS * 0u) / OCTS;
  let piece0 = (local + THREADS * 0u) % OCTS;
  var next_key0 = half_piece(keys_data[u.keys_at + (start + min(first_key + line0, rows - 1u)) * OCTS + piece0]);
  var next_value0 = half_piece(values_data[u.values_at + (start + min(first_key + line0, rows - 1u)) * OCTS + piece0]);
  let line1 = (local + THREADS * 1u) / OCTS;
  let piece1 = (local + THREADS * 1u) % OCTS;
  var next_key1 = half_piece(keys_data[u.keys_at + (start + min(first_key + line1, rows - 1u)) * OCTS + piece1]);
  var next_value1 = half_piece(values_data[u.values_at + (start + min(first_key + line1, rows - 1u)) * OCTS + piece1]);
  for (var key = first_key; key < rows; key += 32u) {
    workgroupBarrier();
    key_tile[line0 * STRIDE + piece0] = next_key0;
    value_tile[line0 * STRIDE + piece0] = next_value0;
    key_tile[line1 * STRIDE + piece1] = next_key1;
    value_tile[line1 * STRIDE + piece1] = next_value1;
    if local == 0u {
      atomicStore(&grown, 0u);
    }
    workgroupBarrier();
    let next0 = start + min(key + 32u + line0, rows - 1u);
    next_key0 = half_piece(keys_data[u.keys_at + next0 * OCTS + piece0]);
    next_value0 = half_piece(values_data[u.values_at + next0 * OCTS + piece0]);
    let next1 = start + min(key + 32u + line1, rows - 1u);
    next_key1 = half_piece(keys_data[u.keys_at + next1 * OCTS + piece1]);
    next_value1 = half_piece(values_data[u.values_at + next1 * OCTS + piece1]);
    {
      var logits0 = subgroup_matrix_result<f32, 16, 16>();
      var logits1 = subgroup_matrix_result<f32, 16, 16>();
      let keys0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 0u * STRIDE + 2u * (0u * GROUP + 0u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_0_0, keys0_0, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_0_0, keys0_0, logits1);
      let keys0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 0u * STRIDE + 2u * (0u * GROUP + 1u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_0_1, keys0_1, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_0_1, keys0_1, logits1);
      let keys1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 0u * STRIDE + 2u * (1u * GROUP + 0u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_1_0, keys1_0, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_1_0, keys1_0, logits1);
      let keys1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 0u * STRIDE + 2u * (1u * GROUP + 1u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_1_1, keys1_1, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_1_1, keys1_1, logits1);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, logits0, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 0u, logits1, SCORES);
    }
    {
      var logits0 = subgroup_matrix_result<f32, 16, 16>();
      var logits1 = subgroup_matrix_result<f32, 16, 16>();
      let keys0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 1u * STRIDE + 2u * (0u * GROUP + 0u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_0_0, keys0_0, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_0_0, keys0_0, logits1);
      let keys0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 1u * STRIDE + 2u * (0u * GROUP + 1u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_0_1, keys0_1, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_0_1, keys0_1, logits1);
      let keys1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 1u * STRIDE + 2u * (1u * GROUP + 0u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_1_0, keys1_0, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_1_0, keys1_0, logits1);
      let keys1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * 1u * STRIDE + 2u * (1u * GROUP + 1u), STRIDE);
      logits0 = subgroupMatrixMultiplyAccumulate(query0_1_1, keys1_1, logits0);
      logits1 = subgroupMatrixMultiplyAccumulate(query1_1_1, keys1_1, logits1);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, logits0, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 1u, logits1, SCORES);
    }
    workgroupBarrier();
    var greatest = vec4f(-infinity());
    var x0 = capped(scores[own * SCORES + part * QUADS + 0u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 0u)) + vec4u(0u, 1u, 2u, 3u);
      x0 = select(vec4f(-infinity()), x0, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x0);
    var x1 = capped(scores[own * SCORES + part * QUADS + 1u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 1u)) + vec4u(0u, 1u, 2u, 3u);
      x1 = select(vec4f(-infinity()), x1, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x1);
    var x2 = capped(scores[own * SCORES + part * QUADS + 2u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 2u)) + vec4u(0u, 1u, 2u, 3u);
      x2 = select(vec4f(-infinity()), x2, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x2);
    var x3 = capped(scores[own * SCORES + part * QUADS + 3u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 3u)) + vec4u(0u, 1u, 2u, 3u);
      x3 = select(vec4f(-infinity()), x3, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x3);
    var x4 = capped(scores[own * SCORES + part * QUADS + 4u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 4u)) + vec4u(0u, 1u, 2u, 3u);
      x4 = select(vec4f(-infinity()), x4, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x4);
    var x5 = capped(scores[own * SCORES + part * QUADS + 5u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 5u)) + vec4u(0u, 1u, 2u, 3u);
      x5 = select(vec4f(-infinity()), x5, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x5);
    var x6 = capped(scores[own * SCORES + part * QUADS + 6u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 6u)) + vec4u(0u, 1u, 2u, 3u);
      x6 = select(vec4f(-infinity()), x6, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x6);
    var x7 = capped(scores[own * SCORES + part * QUADS + 7u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + 7u)) + vec4u(0u, 1u, 2u, 3u);
      x7 = select(vec4f(-infinity()), x7, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x7);
    var most = max(max(greatest.x, greatest.y), max(greatest.z, greatest.w));
    var scale = 1.0;
    if most > base + 8.0 {
      if base > -infinity() {
        scale = exp(base - most);
        atomicStore(&grown, 1u);
      }
      base = most;
      total *= scale;
    }
    // A query that has seen nothing yet has nothing to count from.
    let zero = select(base, 0.0, base == -infinity());
    var sums = vec4f();
    let weight0 = exp(x0 - zero);
    sums += weight0;
    let weight1 = exp(x1 - zero);
    sums += weight1;
    let weight2 = exp(x2 - zero);
    sums += weight2;
    let weight3 = exp(x3 - zero);
    sums += weight3;
    let weight4 = exp(x4 - zero);
    sums += weight4;
    let weight5 = exp(x5 - zero);
    sums += weight5;
    let weight6 = exp(x6 - zero);
    sums += weight6;
    let weight7 = exp(x7 - zero);
    sums += weight7;
    total += dot(sums, vec4f(1.0));
    weights[own * WEIGHTS + part * PAIRS + 0u] = pair_of(0u, array<vec4f, QUADS>(
      weight0,
      weight1,
      weight2,
      weight3,
      weight4,
      weight5,
      weight6,
      weight7,
    ));
    weights[own * WEIGHTS + part * PAIRS + 1u] = pair_of(1u, array<vec4f, QUADS>(
      weight0,
      weight1,
      weight2,
      weight3,
      weight4,
      weight5,
      weight6,
      weight7,
    ));
    weights[own * WEIGHTS + part * PAIRS + 2u] = pair_of(2u, array<vec4f, QUADS>(
      weight0,
      weight1,
      weight2,
      weight3,
      weight4,
      weight5,
      weight6,
      weight7,
    ));
    weights[own * WEIGHTS + part * PAIRS + 3u] = pair_of(3u, array<vec4f, QUADS>(
      weight0,
      weight1,
      weight2,
      weight3,
      weight4,
      weight5,
      weight6,
      weight7,
    ));
    if workgroupUniformLoad(&grown) != 0u {
      workgroupBarrier();
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_0_0, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_0_1, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 0u, sum1_0_0, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 1u, sum1_0_1, SCORES);
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 4u * GROUP; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
      sum0_0_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, SCORES);
      sum0_0_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, SCORES);
      sum1_0_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 0u, SCORES);
      sum1_0_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 1u, SCORES);
      workgroupBarrier();
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_1_0, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_1_1, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 0u, sum1_1_0, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 1u, sum1_1_1, SCORES);
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 4u * GROUP; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
      sum0_1_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, SCORES);
      sum0_1_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, SCORES);
      sum1_1_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 0u, SCORES);
      sum1_1_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 1u, SCORES);
    }
    {
      let weights0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&weights, (first_row + 16u * 0u) * WEIGHTS + 2u * 0u, WEIGHTS);
      let weights1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&weights, (first_row + 16u * 1u) * WEIGHTS + 2u * 0u, WEIGHTS);
      let values0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 0u * STRIDE + 2u * (0u * GROUP + 0u), STRIDE);
      sum0_0_0 = subgroupMatrixMultiplyAccumulate(weights0, values0_0, sum0_0_0);
      sum1_0_0 = subgroupMatrixMultiplyAccumulate(weights1, values0_0, sum1_0_0);
      let values0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 0u * STRIDE + 2u * (0u * GROUP + 1u), STRIDE);
      sum0_0_1 = subgroupMatrixMultiplyAccumulate(weights0, values0_1, sum0_0_1);
      sum1_0_1 = subgroupMatrixMultiplyAccumulate(weights1, values0_1, sum1_0_1);
      let values1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 0u * STRIDE + 2u * (1u * GROUP + 0u), STRIDE);
      sum0_1_0 = subgroupMatrixMultiplyAccumulate(weights0, values1_0, sum0_1_0);
      sum1_1_0 = subgroupMatrixMultiplyAccumulate(weights1, values1_0, sum1_1_0);
      let values1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 0u * STRIDE + 2u * (1u * GROUP + 1u), STRIDE);
      sum0_1_1 = subgroupMatrixMultiplyAccumulate(weights0, values1_1, sum0_1_1);
      sum1_1_1 = subgroupMatrixMultiplyAccumulate(weights1, values1_1, sum1_1_1);
    }
    {
      let weights0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&weights, (first_row + 16u * 0u) * WEIGHTS + 2u * 1u, WEIGHTS);
      let weights1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&weights, (first_row + 16u * 1u) * WEIGHTS + 2u * 1u, WEIGHTS);
      let values0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 1u * STRIDE + 2u * (0u * GROUP + 0u), STRIDE);
      sum0_0_0 = subgroupMatrixMultiplyAccumulate(weights0, values0_0, sum0_0_0);
      sum1_0_0 = subgroupMatrixMultiplyAccumulate(weights1, values0_0, sum1_0_0);
      let values0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 1u * STRIDE + 2u * (0u * GROUP + 1u), STRIDE);
      sum0_0_1 = subgroupMatrixMultiplyAccumulate(weights0, values0_1, sum0_0_1);
      sum1_0_1 = subgroupMatrixMultiplyAccumulate(weights1, values0_1, sum1_0_1);
      let values1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 1u * STRIDE + 2u * (1u * GROUP + 0u), STRIDE);
      sum0_1_0 = subgroupMatrixMultiplyAccumulate(weights0, values1_0, sum0_1_0);
      sum1_1_0 = subgroupMatrixMultiplyAccumulate(weights1, values1_0, sum1_1_0);
      let values1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * 1u * STRIDE + 2u * (1u * GROUP + 1u), STRIDE);
      sum0_1_1 = subgroupMatrixMultiplyAccumulate(weights0, values1_1, sum0_1_1);
      sum1_1_1 = subgroupMatrixMultiplyAccumulate(weights1, values1_1, sum1_1_1);
    }
  }
  if part == 0u {
    shares[own] = 1.0 / total;
    if query < u.tokens {
      lse_data[u.lse_at + head * u.tokens + query] = base + log(total);
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_0_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_0_1, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 0u, sum1_0_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 1u, sum1_0_1, SCORES);
  workgroupBarrier();
  for (var n = lane; n < 16u * GROUP * OWNED; n += 32u) {
    let row = first_row + n / (16u * GROUP);
    if first_query + row < u.tokens {
      let c = n % (16u * GROUP);
      out_data[u.out_at + ((first_query + row) * u.query_heads + head) * 16u * DEPTH + 16u * GROUP * 0u + c] = scores[row * SCORES + c / 4u][c % 4u] * shares[row];
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_1_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_1_1, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 0u, sum1_1_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 1u) * SCORES + 4u * 1u, sum1_1_1, SCORES);
  workgroupBarrier();
  for (var n = lane; n < 16u * GROUP * OWNED; n += 32u) {
    let row = first_row + n / (16u * GROUP);
    if first_query + row < u.tokens {
      let c = n % (16u * GROUP);
      out_data[u.out_at + ((first_query + row) * u.query_heads + head) * 16u * DEPTH + 16u * GROUP * 1u + c] = scores[row * SCORES + c / 4u][c % 4u] * shares[row];
    }
  }
}

// Eight of a lane's weights, as f16.
fn pair_of(n: u32, all: array<vec4f, QUADS>) -> vec4<u32> {
  return packed(all[2u * n], all[2u * n + 1u]);
}
