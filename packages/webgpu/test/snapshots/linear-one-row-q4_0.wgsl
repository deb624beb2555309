enable subgroups;
const FEW = 1u;
const LANES = 32u;
const OUTS = 4u;
const CHUNK = 32u;
const SUBGROUP = 32u;
struct Uniforms {
  x_at: u32,
  out_at: u32,
  weight_at: u32,
  scales_at: u32,
  width: u32,
  outs: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(3) var<storage, read> weight_data: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> scales_data: array<u32>;
// linear: out[rows, outs] = x[rows, width] . weight[outs, width]^T, plus bias and residual.
//
// FEW rows (at most 4): LANES threads walk OUTS rows of weights together, 16 bytes of each at a load, and the numbers of x that belong to them are loaded
// once for all; their sums meet by subgroup where its size is known, else in a tree. A workgroup holds 128 / LANES such teams.
// Otherwise: a workgroup makes a tile of 4 SIDE x 4 SIDE results, see lib/tile.wgsl; weights become f32 as they are staged.
const THREADS = 128u;
const TEAMS = THREADS / LANES;
const SUMS = OUTS * FEW;
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

// 16 bytes of weights hold CHUNK of them, QUADS x 4.
const QUADS = CHUNK / 4u;
fn chunk_of(row: u32, chunk: u32) -> array<vec4f, QUADS> {
  let bits = weight_data[u.weight_at + row * (u.width / CHUNK) + chunk];
  let low = bits & vec4u(0x0f0f0f0fu);
  let high = (bits >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  return array<vec4f, QUADS>(bytes(low.x), bytes(low.y), bytes(low.z), bytes(low.w), bytes(high.x), bytes(high.y), bytes(high.z), bytes(high.w));
}

fn signed_bytes(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u));
}

fn bytes(word: u32) -> vec4f {
  return vec4f((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u));
}
var<workgroup> partial: array<f32, SUMS * THREADS / SUBGROUP>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let first = ((group.y * groups.x + group.x) * TEAMS + local / LANES) * OUTS;
  var sums: array<f32, SUMS>;
  let quads = u.width / 4u;
  for (var chunk = lane; chunk < u.width / CHUNK; chunk += LANES) {
    var x: array<array<vec4f, QUADS>, FEW>;
    var x_sums = array<f32, FEW>();
    for (var r = 0u; r < FEW; r++) {
      for (var q = 0u; q < QUADS; q++) {
        x[r][q] = x_data[u.x_at + r * quads + chunk * QUADS + q];
        x_sums[r] += dot(x[r][q], vec4f(1.0));
      }
    }
    for (var o = 0u; o < OUTS; o++) {
      let row = min(first + o, u.outs - 1u);
      let weights = chunk_of(row, chunk);
      let block = row * (u.width / 32u) + chunk * CHUNK / 32u;
      let scale = f16_pair(scales_data[u.scales_at + block / 2u])[block & 1u];
      let low = -8.0 * scale;
      for (var r = 0u; r < FEW; r++) {
        var product = 0.0;
        for (var q = 0u; q < QUADS; q++) {
          product += dot(x[r][q], weights[q]);
        }
        product *= scale;
        product += low * x_sums[r];
        sums[o * FEW + r] += product;
      }
    }
  }
  for (var k = 0u; k < SUMS; k++) {
    let sum = subgroupAdd(sums[k]);
    if local % SUBGROUP == 0u {
      partial[k * (THREADS / SUBGROUP) + local / SUBGROUP] = sum;
    }
  }
  workgroupBarrier();
  const SHARES = LANES / SUBGROUP;
  const COLUMNS = THREADS / SUBGROUP;
  for (var k = lane; k < SUMS; k += LANES) {
    let o = first + k / FEW;
    let r = k % FEW;
    if o < u.outs {
      var sum = 0.0;
      for (var share = 0u; share < SHARES; share++) {
        sum += partial[k * COLUMNS + local / LANES * (COLUMNS / TEAMS) + share];
      }
      out_data[u.out_at + r * u.outs + o] = sum;
    }
  }
}
