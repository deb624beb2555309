const SIDE = 16u;
struct Uniforms {
  x_at: u32,
  out_at: u32,
  weight_at: u32,
  scales_at: u32,
  minimums_at: u32,
  width: u32,
  outs: u32,
  rows: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(3) var<storage, read> weight_data: array<u32>;
@group(0) @binding(4) var<storage, read> scales_data: array<u32>;
@group(0) @binding(5) var<storage, read> minimums_data: array<u32>;
// linear: out[rows, outs] = x[rows, width] . weight[outs, width]^T, plus bias and residual.
//
// FEW rows (at most 4): LANES threads walk OUTS rows of weights together, 16 bytes of each at a load, and the numbers of x that belong to them are loaded
// once for all; their sums meet by subgroup where its size is known, else in a tree. A workgroup holds 128 / LANES such teams.
// Otherwise: a workgroup makes a tile of 4 SIDE x 4 SIDE results, see lib/tile.wgsl; weights become f32 as they are staged.
// A tile of products left x right, both with rows of quads: SIDE x SIDE threads own 4 x 4 results each, rows 4 ty + r of left against rows tx + SIDE c of
// right. Sixteen columns are staged at a time; a stride of 5 quads keeps the reads of neighbouring threads in different banks.
const STRIDE = 5u;
const TILE = 4u * SIDE;
const THREADS = SIDE * SIDE;
const RIGHT = TILE * STRIDE;
var<workgroup> staged: array<vec4f, 2u * TILE * STRIDE>;

// Adds the products of the staged columns to sums[r], lane c.
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

// Four weights of a row, from column 4 q on. WIDE: rows are whole quads, each read as one or two words or, f32, four.
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

fn weight_quad(row: u32, q: u32) -> vec4f {
  let index = row * (u.width / 4u) + q;
  let block = index / 8u;
  let scale = f16_pair(scales_data[u.scales_at + block / 2u])[block & 1u];
  let quants = vec4f((vec4u(weight_data[u.weight_at + block * 4u + (index & 3u)] >> (index & 4u)) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(15u));
  return scale * quants + f16_pair(minimums_data[u.minimums_at + block / 2u])[block & 1u];
}

fn x_quad(row: u32, q: u32) -> vec4f {
  return x_data[u.x_at + row * (u.width / 4u) + q];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tx = local % SIDE;
  let ty = local / SIDE;
  let first_out = group.x * TILE;
  let first_row = group.y * TILE;
  let quads = (u.width + 3u) / 4u;
  var sums: array<vec4f, 4>;
  for (var q = 0u; q < quads; q += 4u) {
    workgroupBarrier();
    for (var i = local; i < 4u * TILE; i += THREADS) {
      let line = i / 4u;
      let column = q + i % 4u;
      var a = vec4f();
      var b = vec4f();
      if column < quads {
        if first_row + line < u.rows {
          a = x_quad(first_row + line, column);
        }
        if first_out + line < u.outs {
          b = weight_quad(first_out + line, column);
        }
      }
      staged[line * STRIDE + i % 4u] = a;
      staged[RIGHT + line * STRIDE + i % 4u] = b;
    }
    workgroupBarrier();
    multiply_staged(&sums, tx, ty);
  }
  for (var r = 0u; r < 4u; r++) {
    let row = first_row + 4u * ty + r;
    for (var c = 0u; c < 4u; c++) {
      let o = first_out + tx + SIDE * c;
      if row < u.rows && o < u.outs {
        var sum = sums[r][c];
        out_data[u.out_at + row * u.outs + o] = sum;
      }
    }
  }
}
