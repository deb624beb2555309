const ACROSS = 16u;
const DOWN = 16u;
const ROW_QUADS = 2u;
const OUT_QUADS = 2u;
struct Uniforms {
  x_at: u32,
  out_at: u32,
  weight_at: u32,
  rows: u32,
  width: u32,
  outs: u32,
  stride: u32,
  first_out: u32,
  first_tile: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(3) var<storage, read> weight_data: array<vec2<u32>>;
// linear: many rows. A workgroup computes a tile of 4 ROW_QUADS DOWN rows and 4 OUT_QUADS ACROSS columns; thread (tx,
// ty) has quads ty + DOWN i of its rows and quads tx + ACROSS j of its columns. Sixteen numbers of every row of x and
// of weights are staged at a time, transposed, so that a quad of rows is one load. Weights are converted to f32 as they
// are staged.
// Four weights of a row, from column 4 q on. WIDE: rows are whole quads, each loaded as one or two words, or as four if
// they are f32.
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

fn weight_quad(row: u32, q: u32) -> vec4f {
  let index = row * (u.width / 4u) + q;
  let pairs = weight_data[u.weight_at + index];
  return vec4f(f16_pair(pairs.x), f16_pair(pairs.y));
}

const THREADS = ACROSS * DOWN;
const ROWS = ROW_QUADS * DOWN;
const OUTS = OUT_QUADS * ACROSS;
var<workgroup> staged_x: array<vec4f, 16u * ROWS>;
var<workgroup> staged_weights: array<vec4f, 16u * OUTS>;

fn x_quad(row: u32, q: u32) -> vec4f {
  if row >= u.rows || 4u * q >= u.width {
    return vec4f();
  }
  return x_data[u.x_at + row * (u.width / 4u) + q];
}

fn w_quad(row: u32, q: u32) -> vec4f {
  if row >= u.outs || 4u * q >= u.width {
    return vec4f();
  }
  return weight_quad(row, q);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tx = local % ACROSS;
  let ty = local / ACROSS;
  let first_out = group.x * 4u * OUTS;
  let first_row = (group.y + u.first_tile) * 4u * ROWS;
  var sum0_0_0 = vec4f();
  var sum0_0_1 = vec4f();
  var sum0_1_0 = vec4f();
  var sum0_1_1 = vec4f();
  var sum0_2_0 = vec4f();
  var sum0_2_1 = vec4f();
  var sum0_3_0 = vec4f();
  var sum0_3_1 = vec4f();
  var sum1_0_0 = vec4f();
  var sum1_0_1 = vec4f();
  var sum1_1_0 = vec4f();
  var sum1_1_1 = vec4f();
  var sum1_2_0 = vec4f();
  var sum1_2_1 = vec4f();
  var sum1_3_0 = vec4f();
  var sum1_3_1 = vec4f();
  for (var q = 0u; 4u * q < u.width; q += 4u) {
    workgroupBarrier();
    for (var i = local; i < 4u * ROWS; i += THREADS) {
      let row = first_row + i % ROWS * 4u;
      let column = i / ROWS;
      let quads = transpose(mat4x4f(
        x_quad(row, q + column),
        x_quad(row + 1u, q + column),
        x_quad(row + 2u, q + column),
        x_quad(row + 3u, q + column),
      ));
      staged_x[(4u * column + 0u) * ROWS + i % ROWS] = quads[0];
      staged_x[(4u * column + 1u) * ROWS + i % ROWS] = quads[1];
      staged_x[(4u * column + 2u) * ROWS + i % ROWS] = quads[2];
      staged_x[(4u * column + 3u) * ROWS + i % ROWS] = quads[3];
    }
    for (var i = local; i < 4u * OUTS; i += THREADS) {
      let row = first_out + i % OUTS * 4u;
      let column = i / OUTS;
      let quads = transpose(mat4x4f(
        w_quad(row, q + column),
        w_quad(row + 1u, q + column),
        w_quad(row + 2u, q + column),
        w_quad(row + 3u, q + column),
      ));
      staged_weights[(4u * column + 0u) * OUTS + i % OUTS] = quads[0];
      staged_weights[(4u * column + 1u) * OUTS + i % OUTS] = quads[1];
      staged_weights[(4u * column + 2u) * OUTS + i % OUTS] = quads[2];
      staged_weights[(4u * column + 3u) * OUTS + i % OUTS] = quads[3];
    }
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let a0 = staged_x[k * ROWS + ty + 0u * DOWN];
      let a1 = staged_x[k * ROWS + ty + 1u * DOWN];
      let b0 = staged_weights[k * OUTS + tx + 0u * ACROSS];
      let b1 = staged_weights[k * OUTS + tx + 1u * ACROSS];
      sum0_0_0 = fma(vec4f(a0[0]), b0, sum0_0_0);
      sum0_0_1 = fma(vec4f(a0[0]), b1, sum0_0_1);
      sum0_1_0 = fma(vec4f(a0[1]), b0, sum0_1_0);
      sum0_1_1 = fma(vec4f(a0[1]), b1, sum0_1_1);
      sum0_2_0 = fma(vec4f(a0[2]), b0, sum0_2_0);
      sum0_2_1 = fma(vec4f(a0[2]), b1, sum0_2_1);
      sum0_3_0 = fma(vec4f(a0[3]), b0, sum0_3_0);
      sum0_3_1 = fma(vec4f(a0[3]), b1, sum0_3_1);
      sum1_0_0 = fma(vec4f(a1[0]), b0, sum1_0_0);
      sum1_0_1 = fma(vec4f(a1[0]), b1, sum1_0_1);
      sum1_1_0 = fma(vec4f(a1[1]), b0, sum1_1_0);
      sum1_1_1 = fma(vec4f(a1[1]), b1, sum1_1_1);
      sum1_2_0 = fma(vec4f(a1[2]), b0, sum1_2_0);
      sum1_2_1 = fma(vec4f(a1[2]), b1, sum1_2_1);
      sum1_3_0 = fma(vec4f(a1[3]), b0, sum1_3_0);
      sum1_3_1 = fma(vec4f(a1[3]), b1, sum1_3_1);
    }
  }
  store(first_row + 4u * (ty + 0u * DOWN) + 0u, first_out + 4u * (tx + 0u * ACROSS), sum0_0_0);
  store(first_row + 4u * (ty + 0u * DOWN) + 0u, first_out + 4u * (tx + 1u * ACROSS), sum0_0_1);
  store(first_row + 4u * (ty + 0u * DOWN) + 1u, first_out + 4u * (tx + 0u * ACROSS), sum0_1_0);
  store(first_row + 4u * (ty + 0u * DOWN) + 1u, first_out + 4u * (tx + 1u * ACROSS), sum0_1_1);
  store(first_row + 4u * (ty + 0u * DOWN) + 2u, first_out + 4u * (tx + 0u * ACROSS), sum0_2_0);
  store(first_row + 4u * (ty + 0u * DOWN) + 2u, first_out + 4u * (tx + 1u * ACROSS), sum0_2_1);
  store(first_row + 4u * (ty + 0u * DOWN) + 3u, first_out + 4u * (tx + 0u * ACROSS), sum0_3_0);
  store(first_row + 4u * (ty + 0u * DOWN) + 3u, first_out + 4u * (tx + 1u * ACROSS), sum0_3_1);
  store(first_row + 4u * (ty + 1u * DOWN) + 0u, first_out + 4u * (tx + 0u * ACROSS), sum1_0_0);
  store(first_row + 4u * (ty + 1u * DOWN) + 0u, first_out + 4u * (tx + 1u * ACROSS), sum1_0_1);
  store(first_row + 4u * (ty + 1u * DOWN) + 1u, first_out + 4u * (tx + 0u * ACROSS), sum1_1_0);
  store(first_row + 4u * (ty + 1u * DOWN) + 1u, first_out + 4u * (tx + 1u * ACROSS), sum1_1_1);
  store(first_row + 4u * (ty + 1u * DOWN) + 2u, first_out + 4u * (tx + 0u * ACROSS), sum1_2_0);
  store(first_row + 4u * (ty + 1u * DOWN) + 2u, first_out + 4u * (tx + 1u * ACROSS), sum1_2_1);
  store(first_row + 4u * (ty + 1u * DOWN) + 3u, first_out + 4u * (tx + 0u * ACROSS), sum1_3_0);
  store(first_row + 4u * (ty + 1u * DOWN) + 3u, first_out + 4u * (tx + 1u * ACROSS), sum1_3_1);
}

fn store(row: u32, first: u32, sums: vec4f) {
  if row >= u.rows {
    return;
  }
  store_one(row, first + 0u, sums[0]);
  store_one(row, first + 1u, sums[1]);
  store_one(row, first + 2u, sums[2]);
  store_one(row, first + 3u, sums[3]);
}
// One result of a product, plus bias and residual. Row o of this dispatch's weights is row u.first_out + o of the
// matrix.
fn store_one(row: u32, o: u32, product: f32) {
  if o >= u.outs {
    return;
  }
  let at = row * u.stride + u.first_out + o;
  var sum = product;
  out_data[u.out_at + at] = sum;
}

