const SIDE = 8u;
const QUADS = 16u;
const COLUMNS = 2u;
const VALUES_AT_ONCE = 16u;
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
  size: u32,
  window: u32,
  first_head: u32,
  scale: f32,
  softcap: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<f32>;
@group(0) @binding(2) var<storage, read> keys_data: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> values_data: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> offset_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse_data: array<f32>;
// attention: prefill of one sequence (FlashAttention, arXiv 2205.14135). A workgroup takes a tile of TILE queries of
// one query head and visits the tiles of keys that any of them sees, with a running maximum and sum for each query. It
// computes logits with lib/tile.wgsl, then adds the weighted values, a few staged rows at a time. Thread (tx, ty) has
// queries 4 ty + r and quads tx + SIDE c of the output.
// QUADS: quads of a row of K or V. COLUMNS: QUADS / SIDE, rounded up. VALUES_AT_ONCE x QUADS fit into `staged`.
// A tile of products left x right, both stored as rows of quads. SIDE x SIDE threads have 4 x 4 results each: rows 4 ty
// + r of left by rows tx + SIDE c of right. Sixteen columns are staged at a time; the stride of 5 quads keeps the reads
// of neighbouring threads in different banks.
const STRIDE = 5u;
const TILE = 4u * SIDE;
const THREADS = SIDE * SIDE;
const RIGHT = TILE * STRIDE;
var<workgroup> staged: array<vec4f, 2u * TILE * STRIDE>;

// Adds the products of the staged columns to lane c of sums[r].
fn multiply_staged(sums: ptr<function, array<vec4f, 4>>, tx: u32, ty: u32) {
  for (var q = 0u; q < 4u; q++) {
    let b0 = staged[RIGHT + tx * STRIDE + q];
    let b1 = staged[RIGHT + (tx + SIDE) * STRIDE + q];
    let b2 = staged[RIGHT + (tx + 2u * SIDE) * STRIDE + q];
    let b3 = staged[RIGHT + (tx + 3u * SIDE) * STRIDE + q];
    for (var r = 0u; r < 4u; r++) {
      let a = staged[(4u * ty + r) * STRIDE + q];
      (*sums)[r] += vec4f(dot(a, b0), dot(a, b1), dot(a, b2), dot(a, b3));
    }
  }
}

// Four numbers of a row of keys, from number 4 q on; zeros past its end. WIDE: rows are whole quads, one load each.
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

fn keys_quad(row: u32, q: u32) -> vec4f {
  let bits = keys_data[u.keys_at + row * (u.size / 4u) + q];
  return vec4f(f16_pair(bits.x), f16_pair(bits.y));
}

// Four numbers of a row of values, from number 4 q on; zeros past its end. WIDE: rows are whole quads, one load each.
fn values_quad(row: u32, q: u32) -> vec4f {
  let bits = values_data[u.values_at + row * (u.size / 4u) + q];
  return vec4f(f16_pair(bits.x), f16_pair(bits.y));
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

// The weights of a tile: [query, key / 4].
var<workgroup> weights: array<vec4f, TILE * (SIDE + 1u)>;

fn query_quad(row: u32, q: u32) -> vec4f {
  var quad = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if 4u * q + c < u.size {
      quad[c] = qkv_data[u.qkv_at + row * u.size + 4u * q + c];
    }
  }
  return quad;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tx = local % SIDE;
  let ty = local / SIDE;
  let first_query = group.x * TILE;
  let head = group.y + u.first_head;
  let kv_head = head / (u.query_heads / u.kv_heads);
  let length = u32(offset_data[u.length_at + kv_head]);
  let start = u32(offset_data[u.offset_at + kv_head]);
  let rows = length + min(first_query + TILE, u.tokens);
  var first_key = 0u;
  if u.window > 0u && length + first_query + 1u > u.window {
    first_key = (length + first_query + 1u - u.window) / TILE * TILE;
  }
  var most = vec4f(-infinity());
  var total = vec4f();
  var out: array<array<vec4f, COLUMNS>, 4>;
  for (var key = first_key; key < rows; key += TILE) {
    var logits = array<vec4f, 4>();
    for (var q = 0u; q < QUADS; q += 4u) {
      workgroupBarrier();
      for (var i = local; i < 4u * TILE; i += THREADS) {
        let line = i / 4u;
        let column = q + i % 4u;
        var a = vec4f();
        var b = vec4f();
        if column < QUADS {
          if first_query + line < u.tokens {
            a = query_quad((first_query + line) * (u.query_heads + 2u * u.kv_heads) + head, column);
          }
          if key + line < rows {
            b = keys_quad(start + key + line, column);
          }
        }
        staged[line * STRIDE + i % 4u] = a;
        // Lane c of thread tx is key 4 tx + c, so that its weights are stored as one quad.
        staged[RIGHT + (line % 4u * SIDE + line / 4u) * STRIDE + i % 4u] = b;
      }
      workgroupBarrier();
      multiply_staged(&logits, tx, ty);
    }
    // The greatest logit of each query, over the threads of its row.
    var greatest = vec4f(-infinity());
    for (var r = 0u; r < 4u; r++) {
      let position = length + first_query + 4u * ty + r;
      for (var c = 0u; c < 4u; c++) {
        let row = key + 4u * tx + c;
        var x = u.scale * logits[r][c];
        if u.softcap > 0.0 {
          x = u.softcap * tanh(clamp(x / u.softcap, -15.0, 15.0));
        }
        if row > position || row >= rows || (u.window > 0u && row + u.window <= position) {
          x = -infinity();
        }
        logits[r][c] = x;
        greatest[r] = max(greatest[r], x);
      }
    }
    workgroupBarrier();
    staged[local] = greatest;
    workgroupBarrier();
    for (var t = 0u; t < SIDE; t++) {
      greatest = max(greatest, staged[ty * SIDE + t]);
    }
    workgroupBarrier();
    let now = max(most, greatest);
    // A query that has seen no key yet has no maximum.
    let base = select(now, vec4f(0.0), now == vec4f(-infinity()));
    let kept = exp(most - base);
    most = now;
    var sums = vec4f();
    for (var r = 0u; r < 4u; r++) {
      logits[r] = exp(logits[r] - base[r]);
      sums[r] = dot(logits[r], vec4f(1.0));
      weights[(4u * ty + r) * (SIDE + 1u) + tx] = logits[r];
      for (var c = 0u; c < COLUMNS; c++) {
        out[r][c] *= kept[r];
      }
    }
    staged[local] = sums;
    workgroupBarrier();
    total *= kept;
    for (var t = 0u; t < SIDE; t++) {
      total += staged[ty * SIDE + t];
    }
    for (var first = 0u; first < TILE; first += VALUES_AT_ONCE) {
      workgroupBarrier();
      for (var i = local; i < VALUES_AT_ONCE * QUADS; i += THREADS) {
        let row = key + first + i / QUADS;
        var v = vec4f();
        if row < rows {
          v = values_quad(start + row, i % QUADS);
        }
        staged[i] = v;
      }
      workgroupBarrier();
      for (var k = 0u; k < VALUES_AT_ONCE; k += 4u) {
        var p: array<vec4f, 4>;
        for (var r = 0u; r < 4u; r++) {
          p[r] = weights[(4u * ty + r) * (SIDE + 1u) + (first + k) / 4u];
        }
        for (var c = 0u; c < COLUMNS; c++) {
          let column = min(tx + SIDE * c, QUADS - 1u);
          let v0 = staged[k * QUADS + column];
          let v1 = staged[(k + 1u) * QUADS + column];
          let v2 = staged[(k + 2u) * QUADS + column];
          let v3 = staged[(k + 3u) * QUADS + column];
          for (var r = 0u; r < 4u; r++) {
            out[r][c] += p[r].x * v0 + p[r].y * v1 + p[r].z * v2 + p[r].w * v3;
          }
        }
      }
    }
  }
  for (var r = 0u; r < 4u; r++) {
    let query = first_query + 4u * ty + r;
    if query >= u.tokens {
      continue;
    }
    if tx == 0u {
      lse_data[u.lse_at + head * u.tokens + query] = most[r] + log(total[r]);
    }
    for (var c = 0u; c < COLUMNS; c++) {
      let quad = out[r][c] / total[r];
      for (var n = 0u; n < 4u; n++) {
        let j = 4u * (tx + SIDE * c) + n;
        if j < u.size {
          out_data[u.out_at + (query * u.query_heads + head) * u.size + j] = quad[n];
        }
      }
    }
  }
}
