enable subgroups;
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
const TILES = 4u;
const SUBGROUP = 32u;
struct Uniforms {
  x_at: u32,
  residual_at: u32,
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
@group(0) @binding(2) var<storage, read_write> residual_data: array<f32>;
@group(0) @binding(3) var<storage, read> weight_data: array<vec4<u32>>;
// linear: many rows on a subgroup's matrix units. A workgroup of four subgroups makes a tile of 32 TILES x 32 TILES results, each subgroup a quarter of it: TILES x
// TILES matrices of 16 x 16, summed in f32. Of x and of weights 32 columns are staged at a time, as f16, while the next ones are on their way; a row
// is padded by 16 bytes, so that neighbouring rows lie in different banks. x is bounded by what f16 holds.
//
// The width is a multiple of 32. Results go through shared memory, 16 rows at a time, so that edges, bias and residual need no code of their own.
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
  return vec4f(bf16_pair(pairs.x), bf16_pair(pairs.y));
}

const THREADS = 128u;
const SIDE = 32u * TILES;
const STRIDE = 5u;
const LINE = 4u * TILES + 1u;
var<workgroup> staged_x: array<vec4<u32>, SIDE * STRIDE>;
var<workgroup> staged_weights: array<vec4<u32>, SIDE * STRIDE>;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

fn x_piece(row: u32, piece: u32) -> vec4<u32> {
  let at = min(row, u.rows - 1u) * (u.width / 4u) + 2u * piece;
  return packed(bounded(x_data[u.x_at + at]), bounded(x_data[u.x_at + at + 1u]));
}

fn weight_piece(row: u32, piece: u32) -> vec4<u32> {
  let line = min(row, u.outs - 1u);
  let bits = weight_data[u.weight_at + line * (u.width / 8u) + piece];
  return packed(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  let first_out = group.x * SIDE;
  let first_row = (group.y + u.first_tile) * SIDE;
  // Where this subgroup's quarter starts.
  let down = subgroup / 2u * 16u * TILES;
  let across = subgroup % 2u * 16u * TILES;
  var sum0_0 = subgroup_matrix_result<f32, 16, 16>();
  var sum0_1 = subgroup_matrix_result<f32, 16, 16>();
  var sum0_2 = subgroup_matrix_result<f32, 16, 16>();
  var sum0_3 = subgroup_matrix_result<f32, 16, 16>();
  var sum1_0 = subgroup_matrix_result<f32, 16, 16>();
  var sum1_1 = subgroup_matrix_result<f32, 16, 16>();
  var sum1_2 = subgroup_matrix_result<f32, 16, 16>();
  var sum1_3 = subgroup_matrix_result<f32, 16, 16>();
  var sum2_0 = subgroup_matrix_result<f32, 16, 16>();
  var sum2_1 = subgroup_matrix_result<f32, 16, 16>();
  var sum2_2 = subgroup_matrix_result<f32, 16, 16>();
  var sum2_3 = subgroup_matrix_result<f32, 16, 16>();
  var sum3_0 = subgroup_matrix_result<f32, 16, 16>();
  var sum3_1 = subgroup_matrix_result<f32, 16, 16>();
  var sum3_2 = subgroup_matrix_result<f32, 16, 16>();
  var sum3_3 = subgroup_matrix_result<f32, 16, 16>();
  // Of every 32 rows a thread stages 8 columns of one.
  let line = local / 4u;
  let piece = local % 4u;
  var next_x0 = x_piece(first_row + line + 32u * 0u, piece);
  var next_weights0 = weight_piece(first_out + line + 32u * 0u, piece);
  var next_x1 = x_piece(first_row + line + 32u * 1u, piece);
  var next_weights1 = weight_piece(first_out + line + 32u * 1u, piece);
  var next_x2 = x_piece(first_row + line + 32u * 2u, piece);
  var next_weights2 = weight_piece(first_out + line + 32u * 2u, piece);
  var next_x3 = x_piece(first_row + line + 32u * 3u, piece);
  var next_weights3 = weight_piece(first_out + line + 32u * 3u, piece);
  let pieces = u.width / 8u;
  for (var at = 0u; at < pieces; at += 4u) {
    workgroupBarrier();
    staged_x[(line + 32u * 0u) * STRIDE + piece] = next_x0;
    staged_weights[(line + 32u * 0u) * STRIDE + piece] = next_weights0;
    staged_x[(line + 32u * 1u) * STRIDE + piece] = next_x1;
    staged_weights[(line + 32u * 1u) * STRIDE + piece] = next_weights1;
    staged_x[(line + 32u * 2u) * STRIDE + piece] = next_x2;
    staged_weights[(line + 32u * 2u) * STRIDE + piece] = next_weights2;
    staged_x[(line + 32u * 3u) * STRIDE + piece] = next_x3;
    staged_weights[(line + 32u * 3u) * STRIDE + piece] = next_weights3;
    workgroupBarrier();
    let next = min(at + 4u, pieces - 4u) + piece;
    next_x0 = x_piece(first_row + line + 32u * 0u, next);
    next_weights0 = weight_piece(first_out + line + 32u * 0u, next);
    next_x1 = x_piece(first_row + line + 32u * 1u, next);
    next_weights1 = weight_piece(first_out + line + 32u * 1u, next);
    next_x2 = x_piece(first_row + line + 32u * 2u, next);
    next_weights2 = weight_piece(first_out + line + 32u * 2u, next);
    next_x3 = x_piece(first_row + line + 32u * 3u, next);
    next_weights3 = weight_piece(first_out + line + 32u * 3u, next);
    {
      let right0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 0u) * STRIDE + 2u * 0u, STRIDE);
      let right1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 1u) * STRIDE + 2u * 0u, STRIDE);
      let right2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 2u) * STRIDE + 2u * 0u, STRIDE);
      let right3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 3u) * STRIDE + 2u * 0u, STRIDE);
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 0u) * STRIDE + 2u * 0u, STRIDE);
        sum0_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum0_0);
        sum0_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum0_1);
        sum0_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum0_2);
        sum0_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum0_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 1u) * STRIDE + 2u * 0u, STRIDE);
        sum1_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum1_0);
        sum1_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum1_1);
        sum1_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum1_2);
        sum1_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum1_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 2u) * STRIDE + 2u * 0u, STRIDE);
        sum2_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum2_0);
        sum2_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum2_1);
        sum2_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum2_2);
        sum2_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum2_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 3u) * STRIDE + 2u * 0u, STRIDE);
        sum3_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum3_0);
        sum3_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum3_1);
        sum3_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum3_2);
        sum3_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum3_3);
      }
    }
    {
      let right0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 0u) * STRIDE + 2u * 1u, STRIDE);
      let right1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 1u) * STRIDE + 2u * 1u, STRIDE);
      let right2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 2u) * STRIDE + 2u * 1u, STRIDE);
      let right3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * 3u) * STRIDE + 2u * 1u, STRIDE);
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 0u) * STRIDE + 2u * 1u, STRIDE);
        sum0_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum0_0);
        sum0_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum0_1);
        sum0_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum0_2);
        sum0_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum0_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 1u) * STRIDE + 2u * 1u, STRIDE);
        sum1_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum1_0);
        sum1_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum1_1);
        sum1_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum1_2);
        sum1_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum1_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 2u) * STRIDE + 2u * 1u, STRIDE);
        sum2_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum2_0);
        sum2_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum2_1);
        sum2_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum2_2);
        sum2_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum2_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * 3u) * STRIDE + 2u * 1u, STRIDE);
        sum3_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum3_0);
        sum3_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum3_1);
        sum3_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum3_2);
        sum3_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum3_3);
      }
    }
  }
  // Sixteen rows of a subgroup's results take 16 LINE pieces; two subgroups share an array.
  let place = subgroup / 2u * 16u * LINE;
  workgroupBarrier();
  if subgroup % 2u == 0u {
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 0u, sum0_0, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 1u, sum0_1, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 2u, sum0_2, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 3u, sum0_3, LINE);
  } else {
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 0u, sum0_0, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 1u, sum0_1, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 2u, sum0_2, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 3u, sum0_3, LINE);
  }
  workgroupBarrier();
  for (var n = lane; n < 256u * TILES; n += 32u) {
    let r = n / (16u * TILES);
    let c = n % (16u * TILES);
    let at = place + r * LINE + c / 4u;
    var bits: u32;
    if subgroup % 2u == 0u {
      bits = staged_x[at][c % 4u];
    } else {
      bits = staged_weights[at][c % 4u];
    }
    let row = first_row + down + 16u * 0u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(bits));
    }
  }
  workgroupBarrier();
  if subgroup % 2u == 0u {
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 0u, sum1_0, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 1u, sum1_1, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 2u, sum1_2, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 3u, sum1_3, LINE);
  } else {
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 0u, sum1_0, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 1u, sum1_1, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 2u, sum1_2, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 3u, sum1_3, LINE);
  }
  workgroupBarrier();
  for (var n = lane; n < 256u * TILES; n += 32u) {
    let r = n / (16u * TILES);
    let c = n % (16u * TILES);
    let at = place + r * LINE + c / 4u;
    var bits: u32;
    if subgroup % 2u == 0u {
      bits = staged_x[at][c % 4u];
    } else {
      bits = staged_weights[at][c % 4u];
    }
    let row = first_row + down + 16u * 1u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(bits));
    }
  }
  workgroupBarrier();
  if subgroup % 2u == 0u {
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 0u, sum2_0, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 1u, sum2_1, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 2u, sum2_2, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 3u, sum2_3, LINE);
  } else {
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 0u, sum2_0, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 1u, sum2_1, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 2u, sum2_2, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 3u, sum2_3, LINE);
  }
  workgroupBarrier();
  for (var n = lane; n < 256u * TILES; n += 32u) {
    let r = n / (16u * TILES);
    let c = n % (16u * TILES);
    let at = place + r * LINE + c / 4u;
    var bits: u32;
    if subgroup % 2u == 0u {
      bits = staged_x[at][c % 4u];
    } else {
      bits = staged_weights[at][c % 4u];
    }
    let row = first_row + down + 16u * 2u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(bits));
    }
  }
  workgroupBarrier();
  if subgroup % 2u == 0u {
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 0u, sum3_0, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 1u, sum3_1, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 2u, sum3_2, LINE);
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * 3u, sum3_3, LINE);
  } else {
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 0u, sum3_0, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 1u, sum3_1, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 2u, sum3_2, LINE);
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * 3u, sum3_3, LINE);
  }
  workgroupBarrier();
  for (var n = lane; n < 256u * TILES; n += 32u) {
    let r = n / (16u * TILES);
    let c = n % (16u * TILES);
    let at = place + r * LINE + c / 4u;
    var bits: u32;
    if subgroup % 2u == 0u {
      bits = staged_x[at][c % 4u];
    } else {
      bits = staged_weights[at][c % 4u];
    }
    let row = first_row + down + 16u * 3u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(bits));
    }
  }
}
// One result of a product, plus bias and residual. Row o of this dispatch's weights is row u.first_out + o of the
// matrix.
fn store_one(row: u32, o: u32, product: f32) {
  if o >= u.outs {
    return;
  }
  let at = row * u.stride + u.first_out + o;
  var sum = product;
  sum += residual_data[u.residual_at + at];
  residual_data[u.out_at + at] = sum;
}

