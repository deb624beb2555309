enable subgroups;
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
const SUBGROUP = 32u;
const HIGH = 2u;
const STAGED = 32u;
const HALVES = 2u;
const BLOCKS = 2u;
const PIECES = 2u;
const PAIRS = 4u;
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
// watch: column sums of attention's weights on a subgroup's matrix units. A workgroup keeps 64 HIGH rows of one head in
// registers and visits the tiles of 32 queries that see any of them, in ascending order. The lane that has a row adds
// up its weights, so that the result is the same every time. Logits are in units of log2(e).
//
// A tile takes two phases, separated by barriers: products with the staged queries; then sums, while the next queries
// are staged. Queries are loaded one tile before they are staged.
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
  return bits;
}

// A logit times log2(e).
fn capped(x: vec4f) -> vec4f {
  return x;
}

// Products; before that the kept rows, 64 at a time.
var<workgroup> scores: array<vec4f, 64u * max(HIGH * SCORES, STRIDE)>;
var<workgroup> tile: array<vec4<u32>, STAGED * STRIDE>;
var<workgroup> lse_tiles: array<vec4f, 16>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  let subgroup_row = subgroup * OWNED;
  let own = subgroup_row + lane % OWNED;
  let part = lane / OWNED;
  let head = group.y + u.first_head;
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let first_row = group.x * 64u * HIGH;
  let length = u32(offset_data[u.length_at + kv_head]);
  let rows = length + u.tokens;
  if offset_data[u.ended_at + sequence] != 0i || first_row >= rows {
    return;
  }
  let start = u32(offset_data[u.offset_at + kv_head]);
  let row = first_row + own;
  workgroupBarrier();
  for (var n = local; n < 64u * OCTS; n += THREADS) {
    let line = n / OCTS;
    let origin = first_row + line / 16u * OWNED + 16u * 0u + line % 16u;
    let piece = half_piece(keys_data[u.keys_at + (start + min(origin, rows - 1u)) * OCTS + n % OCTS]);
    scores[line * STRIDE + n % OCTS] = bitcast<vec4f>(piece);
  }
  workgroupBarrier();
  let keys0_0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
  let keys0_0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
  let keys0_1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
  let keys0_1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
  workgroupBarrier();
  for (var n = local; n < 64u * OCTS; n += THREADS) {
    let line = n / OCTS;
    let origin = first_row + line / 16u * OWNED + 16u * 1u + line % 16u;
    let piece = half_piece(keys_data[u.keys_at + (start + min(origin, rows - 1u)) * OCTS + n % OCTS]);
    scores[line * STRIDE + n % OCTS] = bitcast<vec4f>(piece);
  }
  workgroupBarrier();
  let keys1_0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
  let keys1_0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
  let keys1_1_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
  let keys1_1_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
  // The first query that counts and sees the row.
  let earliest = max(u.first, max(row, length) - length);
  // All rows count all queries from this one on, up to u.tokens.
  let all_from = max(u.first, max(first_row + 64u * HIGH - 1u, length) - length);
  let first_tile = max(u.first, max(first_row, length) - length) / STAGED * STAGED;
  let line0 = (local + THREADS * 0u) / OCTS;
  let piece0 = (local + THREADS * 0u) % OCTS;
  var at0 = query_at(sequence, head % u.query_heads, row_heads, first_tile + line0, piece0);
  var low0 = qkv_data[u.qkv_at + at0];
  var high0 = qkv_data[u.qkv_at + at0 + 1u];
  let line1 = (local + THREADS * 1u) / OCTS;
  let piece1 = (local + THREADS * 1u) % OCTS;
  var at1 = query_at(sequence, head % u.query_heads, row_heads, first_tile + line1, piece1);
  var low1 = qkv_data[u.qkv_at + at1];
  var high1 = qkv_data[u.qkv_at + at1 + 1u];
  var next_lse = lse_data[u.lse_at + head * u.tokens + min(first_tile + lane, u.tokens - 1u)] * LOG2E;
  workgroupBarrier();
  tile[line0 * STRIDE + piece0] = query_piece(low0, high0);
  tile[line1 * STRIDE + piece1] = query_piece(low1, high1);
  var mass = 0.0;
  for (var first = first_tile; first < u.tokens; first += STAGED) {
    let lse_at = first / STAGED % 2u * 8u;
    if local < 32u {
      lse_tiles[lse_at + local / 4u][local % 4u] = next_lse;
    }
    workgroupBarrier();
    at0 = query_at(sequence, head % u.query_heads, row_heads, first + STAGED + line0, piece0);
    low0 = qkv_data[u.qkv_at + at0];
    high0 = qkv_data[u.qkv_at + at0 + 1u];
    at1 = query_at(sequence, head % u.query_heads, row_heads, first + STAGED + line1, piece1);
    low1 = qkv_data[u.qkv_at + at1];
    high1 = qkv_data[u.qkv_at + at1 + 1u];
    next_lse = lse_data[u.lse_at + head * u.tokens + min(first + STAGED + lane, u.tokens - 1u)] * LOG2E;
    {
      // Sums of different queries take turns, so that a product need not wait for the one before it.
      var logits0_0 = subgroup_matrix_result<f32, 16, 16>();
      var logits1_0 = subgroup_matrix_result<f32, 16, 16>();
      var logits0_1 = subgroup_matrix_result<f32, 16, 16>();
      var logits1_1 = subgroup_matrix_result<f32, 16, 16>();
      let queries0_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 0u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(keys0_0_0, queries0_0_0, logits0_0);
      logits1_0 = subgroupMatrixMultiplyAccumulate(keys1_0_0, queries0_0_0, logits1_0);
      let queries0_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 1u * STRIDE + 4u * 0u + 2u * 0u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(keys0_0_0, queries0_0_1, logits0_1);
      logits1_1 = subgroupMatrixMultiplyAccumulate(keys1_0_0, queries0_0_1, logits1_1);
      let queries0_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 0u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(keys0_0_1, queries0_1_0, logits0_0);
      logits1_0 = subgroupMatrixMultiplyAccumulate(keys1_0_1, queries0_1_0, logits1_0);
      let queries0_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 1u * STRIDE + 4u * 0u + 2u * 1u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(keys0_0_1, queries0_1_1, logits0_1);
      logits1_1 = subgroupMatrixMultiplyAccumulate(keys1_0_1, queries0_1_1, logits1_1);
      let queries1_0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 0u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(keys0_1_0, queries1_0_0, logits0_0);
      logits1_0 = subgroupMatrixMultiplyAccumulate(keys1_1_0, queries1_0_0, logits1_0);
      let queries1_0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 1u * STRIDE + 4u * 1u + 2u * 0u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(keys0_1_0, queries1_0_1, logits0_1);
      logits1_1 = subgroupMatrixMultiplyAccumulate(keys1_1_0, queries1_0_1, logits1_1);
      let queries1_1_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 0u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
      logits0_0 = subgroupMatrixMultiplyAccumulate(keys0_1_1, queries1_1_0, logits0_0);
      logits1_0 = subgroupMatrixMultiplyAccumulate(keys1_1_1, queries1_1_0, logits1_0);
      let queries1_1_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * 1u * STRIDE + 4u * 1u + 2u * 1u, STRIDE);
      logits0_1 = subgroupMatrixMultiplyAccumulate(keys0_1_1, queries1_1_1, logits0_1);
      logits1_1 = subgroupMatrixMultiplyAccumulate(keys1_1_1, queries1_1_1, logits1_1);
      subgroupMatrixStore<row_major>(
        &scores, (subgroup_row + 16u * 0u) * SCORES + 4u * 0u, logits0_0, SCORES);
      subgroupMatrixStore<row_major>(
        &scores, (subgroup_row + 16u * 1u) * SCORES + 4u * 0u, logits1_0, SCORES);
      subgroupMatrixStore<row_major>(
        &scores, (subgroup_row + 16u * 0u) * SCORES + 4u * 1u, logits0_1, SCORES);
      subgroupMatrixStore<row_major>(
        &scores, (subgroup_row + 16u * 1u) * SCORES + 4u * 1u, logits1_1, SCORES);
    }
    workgroupBarrier();
    tile[line0 * STRIDE + piece0] = query_piece(low0, high0);
    tile[line1 * STRIDE + piece1] = query_piece(low1, high1);
    let all = first >= all_from && first + STAGED <= u.tokens;
    {
      let quad = 2u * (part * PAIRS + 0u) + 0u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
    {
      let quad = 2u * (part * PAIRS + 0u) + 1u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
    {
      let quad = 2u * (part * PAIRS + 1u) + 0u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
    {
      let quad = 2u * (part * PAIRS + 1u) + 1u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
    {
      let quad = 2u * (part * PAIRS + 2u) + 0u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
    {
      let quad = 2u * (part * PAIRS + 2u) + 1u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
    {
      let quad = 2u * (part * PAIRS + 3u) + 0u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
    {
      let quad = 2u * (part * PAIRS + 3u) + 1u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
  }
  if part == 0u && row < rows {
    mass_data[u.mass_at + head * u.capacity + row] += mass;
  }
}

// Where eight numbers of a query start, in quads.
fn query_at(sequence: u32, head: u32, row_heads: u32, query: u32, piece: u32) -> u32 {
  return (((sequence * u.tokens + min(query, u.tokens - 1u)) * row_heads + head) * OCTS + piece) * 2u;
}
