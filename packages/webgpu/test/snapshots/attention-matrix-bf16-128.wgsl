enable subgroups;
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
const SUBGROUP = 32u;
const HIGH = 1u;
const STAGED = 64u;
const HALVES = 4u;
const BLOCKS = 4u;
const PIECES = 8u;
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
// attention: prefill of one sequence on a subgroup's matrix units. A workgroup keeps 64 HIGH queries of one head in
// registers, and their sums, and visits tiles of STAGED keys. Logits go to workgroup memory, where the lane that has a
// query turns them into weights, f16 in the same place, for the product with the values.
//
// A matrix cannot be scaled row by row. So the base of the exponents is not the running maximum: it follows only when a
// logit exceeds it by more than 11, and then the sums go through workgroup memory to be scaled. Weights are at most
// 2^11, which f16 holds. (Lazy rescaling, as in FlashAttention-4.) Logits are in units of log2(e).
//
// A tile takes two phases: products with the staged keys; then weights, while the next keys and the values of this tile
// are staged. Products with the values run beside the first phase of the next tile. Rows are loaded one tile before
// they are staged.
// SHARED: keys and values are staged in one place in turn, so that tiles are larger and barriers fewer. Rows are loaded
// one phase before they are staged.
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

// Products of rows of one head on a subgroup's matrix units, in f16. A workgroup of four subgroups keeps 64 HIGH rows
// in registers, and a subgroup 16 HIGH of them; STAGED rows of the other side, 16 BLOCKS, are staged at a time. Each
// kept row belongs to one lane, or if HIGH is 1 to two lanes, which have half of its products each: lane `part` has the
// pairs of quads from part * PAIRS on. A row has 32 HALVES numbers. Numbers are bounded to the range of f16.
const THREADS = 128u;
const OWNED = 16u * HIGH;
const OCTS = 4u * HALVES;
// Lines of workgroup memory in quads of words: of a staged row, and of STAGED products. They are padded by one quad, so
// that neighbouring lines are in different banks.
const STRIDE = OCTS + 1u;
const SCORES = STAGED / 4u + 1u;
const LOG2E = 1.4426950408889634;
const LN2 = 0.6931471805599453;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

// Eight numbers of a query times the scale, which includes log2(e) if logits are not capped.
fn query_piece(a: vec4f, b: vec4f) -> vec4<u32> {
  return packed(bounded(u.scale * a), bounded(u.scale * b));
}

fn half_piece(bits: vec4<u32>) -> vec4<u32> {
  return packed(
    bounded(vec4f(bf16_pair(bits.x), bf16_pair(bits.y))),
    bounded(vec4f(bf16_pair(bits.z), bf16_pair(bits.w))),
  );
}

// A logit times log2(e).
fn capped(x: vec4f) -> vec4f {
  return x;
}

// The row of `tiles` at which values start.
const VALUES = 0u;
// Keys, then values; with SHARED they are here in turn.
var<workgroup> tiles: array<vec4<u32>, 64u * STRIDE>;
var<workgroup> scores: array<vec4f, 64u * HIGH * SCORES>;
var<workgroup> grown: atomic<u32>;
var<workgroup> shares: array<f32, 64u * HIGH>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  let first_row = subgroup * OWNED;
  let own = first_row + lane % OWNED;
  let part = lane / OWNED;
  // The last queries, which see the most keys, come first.
  let first_query = (groups.x - 1u - group.x) * 64u * HIGH;
  let head = group.y + u.first_head;
  let kv_head = head / (u.query_heads / u.kv_heads);
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let length = u32(offset_data[u.length_at + kv_head]);
  let start = u32(offset_data[u.offset_at + kv_head]);
  let rows = length + min(first_query + 64u * HIGH, u.tokens);
  var first_key = 0u;
  if u.window > 0u && length + first_query + 1u > u.window {
    first_key = (length + first_query + 1u - u.window) / STAGED * STAGED;
  }
  let query = first_query + own;
  let position = length + query;
  // This lane's query sees the keys from `earliest` up to `end`.
  let end = min(position + 1u, rows);
  let earliest = select(0u, position + 1u - u.window, u.window > 0u && position + 1u > u.window);
  // All queries see all keys of a tile that lies between these two.
  let all_from = select(0u, length + first_query + 64u * HIGH - u.window, u.window > 0u && rows > u.window);
  let all_to = length + min(first_query + 1u, u.tokens);
  workgroupBarrier();
  for (var n = local; n < 64u * OCTS; n += THREADS) {
    let row = n / OCTS;
    let origin = first_query + row / 16u * OWNED + 16u * 0u + row % 16u;
    let at = ((min(origin, u.tokens - 1u) * row_heads + head) * OCTS + n % OCTS) * 2u;
    tiles[row * STRIDE + n % OCTS] = query_piece(qkv_data[u.qkv_at + at], qkv_data[u.qkv_at + at + 1u]);
  }
  workgroupBarrier();
  let query0_0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
  var sum0_0_0 = subgroup_matrix_result<f32, 16, 16>();
  let query0_0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
  var sum0_0_1 = subgroup_matrix_result<f32, 16, 16>();
  let query0_1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
  var sum0_1_0 = subgroup_matrix_result<f32, 16, 16>();
  let query0_1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
  var sum0_1_1 = subgroup_matrix_result<f32, 16, 16>();
  let query0_2_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
  var sum0_2_0 = subgroup_matrix_result<f32, 16, 16>();
  let query0_2_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
  var sum0_2_1 = subgroup_matrix_result<f32, 16, 16>();
  let query0_3_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
  var sum0_3_0 = subgroup_matrix_result<f32, 16, 16>();
  let query0_3_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
  var sum0_3_1 = subgroup_matrix_result<f32, 16, 16>();
  // Eight weights lie in a quad: those of sixteen keys at the start of the place of their logits, which only this lane
  // reads.
  let pair0 = part * PAIRS + 0u;
  let weight_at0 = own * SCORES + pair0 / 2u * 4u + pair0 % 2u;
  // Eight weights lie in a quad: those of sixteen keys at the start of the place of their logits, which only this lane
  // reads.
  let pair1 = part * PAIRS + 1u;
  let weight_at1 = own * SCORES + pair1 / 2u * 4u + pair1 % 2u;
  // Eight weights lie in a quad: those of sixteen keys at the start of the place of their logits, which only this lane
  // reads.
  let pair2 = part * PAIRS + 2u;
  let weight_at2 = own * SCORES + pair2 / 2u * 4u + pair2 % 2u;
  // Eight weights lie in a quad: those of sixteen keys at the start of the place of their logits, which only this lane
  // reads.
  let pair3 = part * PAIRS + 3u;
  let weight_at3 = own * SCORES + pair3 / 2u * 4u + pair3 % 2u;
  var base = -infinity();
  var total = 0.0;
  if local == 0u {
    atomicStore(&grown, 0u);
  }
  workgroupBarrier();
  let line0 = (local + THREADS * 0u) / OCTS;
  let piece0 = (local + THREADS * 0u) % OCTS;
  let first0 = (start + min(first_key + line0, rows - 1u)) * OCTS + piece0;
  tiles[line0 * STRIDE + piece0] = half_piece(keys_data[u.keys_at + first0]);
  let line1 = (local + THREADS * 1u) / OCTS;
  let piece1 = (local + THREADS * 1u) % OCTS;
  let first1 = (start + min(first_key + line1, rows - 1u)) * OCTS + piece1;
  tiles[line1 * STRIDE + piece1] = half_piece(keys_data[u.keys_at + first1]);
  let line2 = (local + THREADS * 2u) / OCTS;
  let piece2 = (local + THREADS * 2u) % OCTS;
  let first2 = (start + min(first_key + line2, rows - 1u)) * OCTS + piece2;
  tiles[line2 * STRIDE + piece2] = half_piece(keys_data[u.keys_at + first2]);
  let line3 = (local + THREADS * 3u) / OCTS;
  let piece3 = (local + THREADS * 3u) % OCTS;
  let first3 = (start + min(first_key + line3, rows - 1u)) * OCTS + piece3;
  tiles[line3 * STRIDE + piece3] = half_piece(keys_data[u.keys_at + first3]);
  let line4 = (local + THREADS * 4u) / OCTS;
  let piece4 = (local + THREADS * 4u) % OCTS;
  let first4 = (start + min(first_key + line4, rows - 1u)) * OCTS + piece4;
  tiles[line4 * STRIDE + piece4] = half_piece(keys_data[u.keys_at + first4]);
  let line5 = (local + THREADS * 5u) / OCTS;
  let piece5 = (local + THREADS * 5u) % OCTS;
  let first5 = (start + min(first_key + line5, rows - 1u)) * OCTS + piece5;
  tiles[line5 * STRIDE + piece5] = half_piece(keys_data[u.keys_at + first5]);
  let line6 = (local + THREADS * 6u) / OCTS;
  let piece6 = (local + THREADS * 6u) % OCTS;
  let first6 = (start + min(first_key + line6, rows - 1u)) * OCTS + piece6;
  tiles[line6 * STRIDE + piece6] = half_piece(keys_data[u.keys_at + first6]);
  let line7 = (local + THREADS * 7u) / OCTS;
  let piece7 = (local + THREADS * 7u) % OCTS;
  let first7 = (start + min(first_key + line7, rows - 1u)) * OCTS + piece7;
  tiles[line7 * STRIDE + piece7] = half_piece(keys_data[u.keys_at + first7]);
  workgroupBarrier();
  for (var key = first_key; key < rows; key += STAGED) {
    let next_value0 = values_data[u.values_at + (start + min(key + line0, rows - 1u)) * OCTS + piece0];
    let next_value1 = values_data[u.values_at + (start + min(key + line1, rows - 1u)) * OCTS + piece1];
    let next_value2 = values_data[u.values_at + (start + min(key + line2, rows - 1u)) * OCTS + piece2];
    let next_value3 = values_data[u.values_at + (start + min(key + line3, rows - 1u)) * OCTS + piece3];
    let next_value4 = values_data[u.values_at + (start + min(key + line4, rows - 1u)) * OCTS + piece4];
    let next_value5 = values_data[u.values_at + (start + min(key + line5, rows - 1u)) * OCTS + piece5];
    let next_value6 = values_data[u.values_at + (start + min(key + line6, rows - 1u)) * OCTS + piece6];
    let next_value7 = values_data[u.values_at + (start + min(key + line7, rows - 1u)) * OCTS + piece7];
    {
      // Sums of different keys take turns, so that a product need not wait for the one before it.
      var logits0_0 = subgroup_matrix_result<f32, 16, 16>();
      var logits0_1 = subgroup_matrix_result<f32, 16, 16>();
      var logits0_2 = subgroup_matrix_result<f32, 16, 16>();
      var logits0_3 = subgroup_matrix_result<f32, 16, 16>();
      let keys0_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_0_0, keys0_0_0, logits0_0);
      let keys0_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_0_0, keys0_0_1, logits0_1);
      let keys0_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_0_0, keys0_0_2, logits0_2);
      let keys0_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_0_0, keys0_0_3, logits0_3);
      let keys0_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_0_1, keys0_1_0, logits0_0);
      let keys0_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_0_1, keys0_1_1, logits0_1);
      let keys0_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_0_1, keys0_1_2, logits0_2);
      let keys0_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_0_1, keys0_1_3, logits0_3);
      let keys1_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_1_0, keys1_0_0, logits0_0);
      let keys1_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_1_0, keys1_0_1, logits0_1);
      let keys1_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_1_0, keys1_0_2, logits0_2);
      let keys1_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_1_0, keys1_0_3, logits0_3);
      let keys1_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_1_1, keys1_1_0, logits0_0);
      let keys1_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_1_1, keys1_1_1, logits0_1);
      let keys1_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_1_1, keys1_1_2, logits0_2);
      let keys1_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_1_1, keys1_1_3, logits0_3);
      let keys2_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_2_0, keys2_0_0, logits0_0);
      let keys2_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_2_0, keys2_0_1, logits0_1);
      let keys2_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_2_0, keys2_0_2, logits0_2);
      let keys2_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_2_0, keys2_0_3, logits0_3);
      let keys2_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_2_1, keys2_1_0, logits0_0);
      let keys2_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_2_1, keys2_1_1, logits0_1);
      let keys2_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_2_1, keys2_1_2, logits0_2);
      let keys2_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_2_1, keys2_1_3, logits0_3);
      let keys3_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_3_0, keys3_0_0, logits0_0);
      let keys3_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_3_0, keys3_0_1, logits0_1);
      let keys3_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_3_0, keys3_0_2, logits0_2);
      let keys3_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_3_0, keys3_0_3, logits0_3);
      let keys3_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 0u * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(query0_3_1, keys3_1_0, logits0_0);
      let keys3_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 1u * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(query0_3_1, keys3_1_1, logits0_1);
      let keys3_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 2u * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
      logits0_2 = subgroupMatrixMultiplyAccumulate(query0_3_1, keys3_1_2, logits0_2);
      let keys3_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * 3u * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
      logits0_3 = subgroupMatrixMultiplyAccumulate(query0_3_1, keys3_1_3, logits0_3);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, logits0_0, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, logits0_1, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 2u, logits0_2, SCORES);
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 3u, logits0_3, SCORES);
    }
    workgroupBarrier();
    tiles[line0 * STRIDE + piece0] = half_piece(next_value0);
    tiles[line1 * STRIDE + piece1] = half_piece(next_value1);
    tiles[line2 * STRIDE + piece2] = half_piece(next_value2);
    tiles[line3 * STRIDE + piece3] = half_piece(next_value3);
    tiles[line4 * STRIDE + piece4] = half_piece(next_value4);
    tiles[line5 * STRIDE + piece5] = half_piece(next_value5);
    tiles[line6 * STRIDE + piece6] = half_piece(next_value6);
    tiles[line7 * STRIDE + piece7] = half_piece(next_value7);
    var low0 = capped(scores[own * SCORES + 2u * (part * PAIRS + 0u)]);
    var high0 = capped(scores[own * SCORES + 2u * (part * PAIRS + 0u) + 1u]);
    var low1 = capped(scores[own * SCORES + 2u * (part * PAIRS + 1u)]);
    var high1 = capped(scores[own * SCORES + 2u * (part * PAIRS + 1u) + 1u]);
    var low2 = capped(scores[own * SCORES + 2u * (part * PAIRS + 2u)]);
    var high2 = capped(scores[own * SCORES + 2u * (part * PAIRS + 2u) + 1u]);
    var low3 = capped(scores[own * SCORES + 2u * (part * PAIRS + 3u)]);
    var high3 = capped(scores[own * SCORES + 2u * (part * PAIRS + 3u) + 1u]);
    if key < all_from || key + STAGED > all_to {
      {
        let at = vec4u(key + 8u * (part * PAIRS + 0u)) + vec4u(0u, 1u, 2u, 3u);
        let next = at + 4u;
        low0 = select(vec4f(-infinity()), low0, (at < vec4u(end)) & (at >= vec4u(earliest)));
        high0 = select(vec4f(-infinity()), high0, (next < vec4u(end)) & (next >= vec4u(earliest)));
      }
      {
        let at = vec4u(key + 8u * (part * PAIRS + 1u)) + vec4u(0u, 1u, 2u, 3u);
        let next = at + 4u;
        low1 = select(vec4f(-infinity()), low1, (at < vec4u(end)) & (at >= vec4u(earliest)));
        high1 = select(vec4f(-infinity()), high1, (next < vec4u(end)) & (next >= vec4u(earliest)));
      }
      {
        let at = vec4u(key + 8u * (part * PAIRS + 2u)) + vec4u(0u, 1u, 2u, 3u);
        let next = at + 4u;
        low2 = select(vec4f(-infinity()), low2, (at < vec4u(end)) & (at >= vec4u(earliest)));
        high2 = select(vec4f(-infinity()), high2, (next < vec4u(end)) & (next >= vec4u(earliest)));
      }
      {
        let at = vec4u(key + 8u * (part * PAIRS + 3u)) + vec4u(0u, 1u, 2u, 3u);
        let next = at + 4u;
        low3 = select(vec4f(-infinity()), low3, (at < vec4u(end)) & (at >= vec4u(earliest)));
        high3 = select(vec4f(-infinity()), high3, (next < vec4u(end)) & (next >= vec4u(earliest)));
      }
    }
    var greatest = max(low0, high0);
    greatest = max(greatest, max(low0, high0));
    greatest = max(greatest, max(low1, high1));
    greatest = max(greatest, max(low2, high2));
    greatest = max(greatest, max(low3, high3));
    var most = max(max(greatest.x, greatest.y), max(greatest.z, greatest.w));
    most = max(most, subgroupShuffleXor(most, 16u));
    var scale = 1.0;
    if most > base + 11.0 {
      if base > -infinity() {
        scale = exp2(base - most);
        atomicStore(&grown, 1u);
      }
      base = most;
      total *= scale;
    }
    // A query that has seen no key yet has no base.
    let zero = select(base, 0.0, base == -infinity());
    var sums = vec4f();
    var weight0: vec4f;
    {
      let a = exp2(low0 - zero);
      let b = exp2(high0 - zero);
      sums += a + b;
      weight0 = bitcast<vec4f>(packed(a, b));
    }
    scores[weight_at0] = weight0;
    var weight1: vec4f;
    {
      let a = exp2(low1 - zero);
      let b = exp2(high1 - zero);
      sums += a + b;
      weight1 = bitcast<vec4f>(packed(a, b));
    }
    scores[weight_at1] = weight1;
    var weight2: vec4f;
    {
      let a = exp2(low2 - zero);
      let b = exp2(high2 - zero);
      sums += a + b;
      weight2 = bitcast<vec4f>(packed(a, b));
    }
    scores[weight_at2] = weight2;
    var weight3: vec4f;
    {
      let a = exp2(low3 - zero);
      let b = exp2(high3 - zero);
      sums += a + b;
      weight3 = bitcast<vec4f>(packed(a, b));
    }
    scores[weight_at3] = weight3;
    total += dot(sums, vec4f(1.0));
    if workgroupUniformLoad(&grown) != 0u {
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_0_0, SCORES);
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_0_1, SCORES);
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 8u; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
      sum0_0_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, SCORES);
      sum0_0_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, SCORES);
      workgroupBarrier();
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_1_0, SCORES);
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_1_1, SCORES);
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 8u; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
      sum0_1_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, SCORES);
      sum0_1_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, SCORES);
      workgroupBarrier();
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_2_0, SCORES);
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_2_1, SCORES);
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 8u; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
      sum0_2_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, SCORES);
      sum0_2_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, SCORES);
      workgroupBarrier();
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_3_0, SCORES);
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_3_1, SCORES);
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 8u; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
      sum0_3_0 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, SCORES);
      sum0_3_1 = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, SCORES);
      workgroupBarrier();
      scores[weight_at0] = weight0;
      scores[weight_at1] = weight1;
      scores[weight_at2] = weight2;
      scores[weight_at3] = weight3;
      workgroupBarrier();
    }
    let weights0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
      &scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, SCORES);
    let weights0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
      &scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, SCORES);
    let weights0_2 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
      &scores, (first_row + 16u * 0u) * SCORES + 4u * 2u, SCORES);
    let weights0_3 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
      &scores, (first_row + 16u * 0u) * SCORES + 4u * 3u, SCORES);
    // The next products overwrite the weights.
    workgroupBarrier();
    if local == 0u {
      atomicStore(&grown, 0u);
    }
    let next_key0 = keys_data[u.keys_at + (start + min(key + STAGED + line0, rows - 1u)) * OCTS + piece0];
    let next_key1 = keys_data[u.keys_at + (start + min(key + STAGED + line1, rows - 1u)) * OCTS + piece1];
    let next_key2 = keys_data[u.keys_at + (start + min(key + STAGED + line2, rows - 1u)) * OCTS + piece2];
    let next_key3 = keys_data[u.keys_at + (start + min(key + STAGED + line3, rows - 1u)) * OCTS + piece3];
    let next_key4 = keys_data[u.keys_at + (start + min(key + STAGED + line4, rows - 1u)) * OCTS + piece4];
    let next_key5 = keys_data[u.keys_at + (start + min(key + STAGED + line5, rows - 1u)) * OCTS + piece5];
    let next_key6 = keys_data[u.keys_at + (start + min(key + STAGED + line6, rows - 1u)) * OCTS + piece6];
    let next_key7 = keys_data[u.keys_at + (start + min(key + STAGED + line7, rows - 1u)) * OCTS + piece7];
    let values0_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
    sum0_0_0 = subgroupMatrixMultiplyAccumulate(weights0_0, values0_0_0, sum0_0_0);
    let values0_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
    sum0_0_1 = subgroupMatrixMultiplyAccumulate(weights0_0, values0_1_0, sum0_0_1);
    let values1_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
    sum0_1_0 = subgroupMatrixMultiplyAccumulate(weights0_0, values1_0_0, sum0_1_0);
    let values1_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
    sum0_1_1 = subgroupMatrixMultiplyAccumulate(weights0_0, values1_1_0, sum0_1_1);
    let values2_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
    sum0_2_0 = subgroupMatrixMultiplyAccumulate(weights0_0, values2_0_0, sum0_2_0);
    let values2_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
    sum0_2_1 = subgroupMatrixMultiplyAccumulate(weights0_0, values2_1_0, sum0_2_1);
    let values3_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
    sum0_3_0 = subgroupMatrixMultiplyAccumulate(weights0_0, values3_0_0, sum0_3_0);
    let values3_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 0u) * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
    sum0_3_1 = subgroupMatrixMultiplyAccumulate(weights0_0, values3_1_0, sum0_3_1);
    let values0_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
    sum0_0_0 = subgroupMatrixMultiplyAccumulate(weights0_1, values0_0_1, sum0_0_0);
    let values0_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
    sum0_0_1 = subgroupMatrixMultiplyAccumulate(weights0_1, values0_1_1, sum0_0_1);
    let values1_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
    sum0_1_0 = subgroupMatrixMultiplyAccumulate(weights0_1, values1_0_1, sum0_1_0);
    let values1_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
    sum0_1_1 = subgroupMatrixMultiplyAccumulate(weights0_1, values1_1_1, sum0_1_1);
    let values2_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
    sum0_2_0 = subgroupMatrixMultiplyAccumulate(weights0_1, values2_0_1, sum0_2_0);
    let values2_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
    sum0_2_1 = subgroupMatrixMultiplyAccumulate(weights0_1, values2_1_1, sum0_2_1);
    let values3_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
    sum0_3_0 = subgroupMatrixMultiplyAccumulate(weights0_1, values3_0_1, sum0_3_0);
    let values3_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 1u) * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
    sum0_3_1 = subgroupMatrixMultiplyAccumulate(weights0_1, values3_1_1, sum0_3_1);
    let values0_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
    sum0_0_0 = subgroupMatrixMultiplyAccumulate(weights0_2, values0_0_2, sum0_0_0);
    let values0_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
    sum0_0_1 = subgroupMatrixMultiplyAccumulate(weights0_2, values0_1_2, sum0_0_1);
    let values1_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
    sum0_1_0 = subgroupMatrixMultiplyAccumulate(weights0_2, values1_0_2, sum0_1_0);
    let values1_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
    sum0_1_1 = subgroupMatrixMultiplyAccumulate(weights0_2, values1_1_2, sum0_1_1);
    let values2_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
    sum0_2_0 = subgroupMatrixMultiplyAccumulate(weights0_2, values2_0_2, sum0_2_0);
    let values2_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
    sum0_2_1 = subgroupMatrixMultiplyAccumulate(weights0_2, values2_1_2, sum0_2_1);
    let values3_0_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
    sum0_3_0 = subgroupMatrixMultiplyAccumulate(weights0_2, values3_0_2, sum0_3_0);
    let values3_1_2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 2u) * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
    sum0_3_1 = subgroupMatrixMultiplyAccumulate(weights0_2, values3_1_2, sum0_3_1);
    let values0_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
    sum0_0_0 = subgroupMatrixMultiplyAccumulate(weights0_3, values0_0_3, sum0_0_0);
    let values0_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
    sum0_0_1 = subgroupMatrixMultiplyAccumulate(weights0_3, values0_1_3, sum0_0_1);
    let values1_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
    sum0_1_0 = subgroupMatrixMultiplyAccumulate(weights0_3, values1_0_3, sum0_1_0);
    let values1_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
    sum0_1_1 = subgroupMatrixMultiplyAccumulate(weights0_3, values1_1_3, sum0_1_1);
    let values2_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 2u + 2u * 0u, STRIDE);
    sum0_2_0 = subgroupMatrixMultiplyAccumulate(weights0_3, values2_0_3, sum0_2_0);
    let values2_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 2u + 2u * 1u, STRIDE);
    sum0_2_1 = subgroupMatrixMultiplyAccumulate(weights0_3, values2_1_3, sum0_2_1);
    let values3_0_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 3u + 2u * 0u, STRIDE);
    sum0_3_0 = subgroupMatrixMultiplyAccumulate(weights0_3, values3_0_3, sum0_3_0);
    let values3_1_3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * 3u) * STRIDE + 4u * 3u + 2u * 1u, STRIDE);
    sum0_3_1 = subgroupMatrixMultiplyAccumulate(weights0_3, values3_1_3, sum0_3_1);
    workgroupBarrier();
    tiles[line0 * STRIDE + piece0] = half_piece(next_key0);
    tiles[line1 * STRIDE + piece1] = half_piece(next_key1);
    tiles[line2 * STRIDE + piece2] = half_piece(next_key2);
    tiles[line3 * STRIDE + piece3] = half_piece(next_key3);
    tiles[line4 * STRIDE + piece4] = half_piece(next_key4);
    tiles[line5 * STRIDE + piece5] = half_piece(next_key5);
    tiles[line6 * STRIDE + piece6] = half_piece(next_key6);
    tiles[line7 * STRIDE + piece7] = half_piece(next_key7);
    workgroupBarrier();
  }
  total += subgroupShuffleXor(total, 16u);
  if part == 0u {
    shares[own] = 1.0 / total;
    if query < u.tokens {
      lse_data[u.lse_at + head * u.tokens + query] = (base + log2(total)) * LN2;
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_0_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_0_1, SCORES);
  workgroupBarrier();
  for (var n = 0u; n < OWNED; n++) {
    let row = first_row + n;
    if first_query + row < u.tokens {
      let x = scores[row * SCORES + lane / 4u][lane % 4u] * shares[row];
      out_data[u.out_at + ((first_query + row) * u.query_heads + head) * 32u * HALVES + 32u * 0u + lane] = x;
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_1_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_1_1, SCORES);
  workgroupBarrier();
  for (var n = 0u; n < OWNED; n++) {
    let row = first_row + n;
    if first_query + row < u.tokens {
      let x = scores[row * SCORES + lane / 4u][lane % 4u] * shares[row];
      out_data[u.out_at + ((first_query + row) * u.query_heads + head) * 32u * HALVES + 32u * 1u + lane] = x;
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_2_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_2_1, SCORES);
  workgroupBarrier();
  for (var n = 0u; n < OWNED; n++) {
    let row = first_row + n;
    if first_query + row < u.tokens {
      let x = scores[row * SCORES + lane / 4u][lane % 4u] * shares[row];
      out_data[u.out_at + ((first_query + row) * u.query_heads + head) * 32u * HALVES + 32u * 2u + lane] = x;
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 0u, sum0_3_0, SCORES);
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * 0u) * SCORES + 4u * 1u, sum0_3_1, SCORES);
  workgroupBarrier();
  for (var n = 0u; n < OWNED; n++) {
    let row = first_row + n;
    if first_query + row < u.tokens {
      let x = scores[row * SCORES + lane / 4u][lane % 4u] * shares[row];
      out_data[u.out_at + ((first_query + row) * u.query_heads + head) * 32u * HALVES + 32u * 3u + lane] = x;
    }
  }
}
