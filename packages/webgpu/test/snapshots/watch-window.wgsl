const QUADS = 16u;
const SIDE = 8u;
struct Uniforms {
  qkv_at: u32,
  keys_at: u32,
  lse_at: u32,
  offset_at: u32,
  length_at: u32,
  ended_at: u32,
  mass_at: u32,
  sequences: u32,
  tokens: u32,
  query_heads: u32,
  kv_heads: u32,
  size: u32,
  capacity: u32,
  first: u32,
  first_head: u32,
  scale: f32,
  softcap: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<f32>;
@group(0) @binding(2) var<storage, read> keys_data: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> lse_data: array<f32>;
@group(0) @binding(4) var<storage, read> offset_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> mass_data: array<f32>;
// watch: column sums of attention's weights, which follow from its log-sum-exp. Queries are added in ascending order,
// so that the result is the same every time.
//
// FEW: one thread for each (query head, row), which visits the queries: for a few of them, or if keys are rotated as
// they are read. Otherwise a workgroup takes a tile of TILE rows and visits the tiles of queries that see any of them;
// see lib/tile.wgsl. Thread (tx, ty) has queries 4 ty + r and rows tx + SIDE c; the sums over ty are added in order
// after each tile.
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

var<workgroup> columns: array<f32, SIDE * TILE>;

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
  let head = group.y + group.z * 65535u + u.first_head;
  if head >= u.sequences * u.query_heads {
    return;
  }
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let first_row = group.x * TILE;
  let length = u32(offset_data[u.length_at + kv_head]);
  let rows = length + u.tokens;
  if offset_data[u.ended_at + sequence] != 0i || first_row >= rows {
    return;
  }
  let start = u32(offset_data[u.offset_at + kv_head]);
  var mass = 0.0;
  for (var first = max(u.first, max(first_row, length) - length) / TILE * TILE; first < u.tokens; first += TILE) {
    var logits = array<vec4f, 4>();
    for (var q = 0u; q < QUADS; q += 4u) {
      workgroupBarrier();
      for (var i = local; i < 4u * TILE; i += THREADS) {
        let line = i / 4u;
        let column = q + i % 4u;
        var a = vec4f();
        var b = vec4f();
        if column < QUADS {
          if first + line < u.tokens {
            let token = sequence * u.tokens + first + line;
            a = query_quad(token * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads, column);
          }
          if first_row + line < rows {
            b = keys_quad(start + first_row + line, column);
          }
        }
        staged[line * STRIDE + i % 4u] = a;
        staged[RIGHT + line * STRIDE + i % 4u] = b;
      }
      workgroupBarrier();
      multiply_staged(&logits, tx, ty);
    }
    var sums = vec4f();
    for (var r = 0u; r < 4u; r++) {
      let i = first + 4u * ty + r;
      for (var c = 0u; c < 4u; c++) {
        if i >= u.first && i < u.tokens && first_row + tx + SIDE * c <= length + i {
          sums[c] += exp(capped(u.scale * logits[r][c]) - lse_data[u.lse_at + head * u.tokens + i]);
        }
      }
    }
    for (var c = 0u; c < 4u; c++) {
      columns[ty * TILE + tx + SIDE * c] = sums[c];
    }
    workgroupBarrier();
    if local < TILE {
      for (var t = 0u; t < SIDE; t++) {
        mass += columns[t * TILE + local];
      }
    }
  }
  if local < TILE && first_row + local < rows {
    mass_data[u.mass_at + head * u.capacity + first_row + local] += mass;
  }
}

fn capped(x: f32) -> f32 {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, -15.0, 15.0));
  }
  return x;
}
