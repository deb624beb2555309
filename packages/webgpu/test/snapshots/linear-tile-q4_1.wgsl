struct Uniforms {
  x_at: u32,
  halves_at: u32,
  width: u32,
  items: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> halves_data: array<vec4<u32>>;
// linear: conversion to f16 ahead of linear-matrix.wgsl, one thread for each eight numbers: of x, bounded to the range
// of f16, or of the weights of a part, if WEIGHT is set.
// The number of a thread in a grid whose workgroups are in rows of at most 65535.
fn item_of(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.y * groups.x + group.x) * 256u + local;
}

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

fn piece_of(item: u32) -> vec4<u32> {
  return packed(bounded(x_data[u.x_at + 2u * item]), bounded(x_data[u.x_at + 2u * item + 1u]));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item < u.items {
    halves_data[u.halves_at + item] = piece_of(item);
  }
}

// ---- the next dispatch

struct Uniforms {
  weight_at: u32,
  scales_at: u32,
  minimums_at: u32,
  halves_at: u32,
  width: u32,
  items: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> weight_data: array<u32>;
@group(0) @binding(2) var<storage, read> scales_data: array<u32>;
@group(0) @binding(3) var<storage, read> minimums_data: array<u32>;
@group(0) @binding(4) var<storage, read_write> halves_data: array<vec4<u32>>;
// linear: conversion to f16 ahead of linear-matrix.wgsl, one thread for each eight numbers: of x, bounded to the range
// of f16, or of the weights of a part, if WEIGHT is set.
// The number of a thread in a grid whose workgroups are in rows of at most 65535.
fn item_of(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.y * groups.x + group.x) * 256u + local;
}

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

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
  let block = index / 8u;
  let scale = f16_pair(scales_data[u.scales_at + block / 2u])[block & 1u];
  let word = weight_data[u.weight_at + block * 4u + (index & 3u)] >> (index & 4u);
  let quants = vec4f((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(15u));
  return scale * quants + f16_pair(minimums_data[u.minimums_at + block / 2u])[block & 1u];
}

fn piece_of(item: u32) -> vec4<u32> {
  let pieces = u.width / 8u;
  let row = item / pieces;
  let quad = 2u * (item % pieces);
  return packed(weight_quad(row, quad), weight_quad(row, quad + 1u));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item < u.items {
    halves_data[u.halves_at + item] = piece_of(item);
  }
}

// ---- the next dispatch

enable subgroups;
enable f16;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
const SUBGROUP = 32u;
const DOWN = 2u;
const ACROSS = 2u;
const TALL = 4u;
const BROAD = 4u;
const STEPS = 2u;
const X_LOADS = 4u;
const WEIGHT_LOADS = 4u;
struct Uniforms {
  out_at: u32,
  x_at: u32,
  weight_at: u32,
  rows: u32,
  width: u32,
  outs: u32,
  stride: u32,
  first_out: u32,
  first_tile: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(2) var<storage, read> x_data: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> weight_data: array<vec4<u32>>;
// linear: many rows on a subgroup's matrix units. A workgroup of DOWN x ACROSS subgroups computes a tile of ROWS x OUTS
// results, and a subgroup TALL x BROAD matrices of 16 x 16 of it, summed in f32. Sixteen STEPS columns of x and of
// weights are staged at a time, as f16, while the next ones are loaded. A staged row is padded by 16 bytes, so that
// neighbours are in different banks. There is one staged place and not two in turn: less workgroup memory lets more
// workgroups run side by side, which hide each other's barriers.
//
// HALF: x and weights are f16 already, from linear-half.wgsl. Otherwise they are converted as they are staged, and x is
// bounded to the range of f16. The width is a multiple of 32. Results go through workgroup memory, 16 rows at a time,
// so that edges, bias and residual need no other code.
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

const THREADS = 32u * DOWN * ACROSS;
const ROWS = 16u * TALL * DOWN;
const OUTS = 16u * BROAD * ACROSS;
const PIECES = 2u * STEPS;
const STRIDE = PIECES + 1u;
// Sixteen rows of a subgroup's results take 16 LINE quads.
const LINE = 4u * BROAD + 1u;
// Rows of x, then rows of weights.
var<workgroup> staged: array<vec4<u32>, max((ROWS + OUTS) * STRIDE, DOWN * ACROSS * 16u * LINE)>;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

fn x_piece(row: u32, piece: u32) -> vec4<u32> {
  let line = min(row, u.rows - 1u);
  return x_data[u.x_at + line * (u.width / 8u) + piece];
}

fn weight_piece(row: u32, piece: u32) -> vec4<u32> {
  let line = min(row, u.outs - 1u);
  return weight_data[u.weight_at + line * (u.width / 8u) + piece];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  // Tiles of the same weights are neighbours, so that weights are read from memory once.
  let first_row = group.x * ROWS;
  let first_out = (group.y + u.first_tile) * OUTS;
  // The first row and column of this subgroup's results.
  let down = subgroup / ACROSS * 16u * TALL;
  let across = subgroup % ACROSS * 16u * BROAD;
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
  let x_line0 = (local + THREADS * 0u) / PIECES;
  let x_at0 = (local + THREADS * 0u) % PIECES;
  var next_x0 = x_piece(first_row + x_line0, x_at0);
  let x_line1 = (local + THREADS * 1u) / PIECES;
  let x_at1 = (local + THREADS * 1u) % PIECES;
  var next_x1 = x_piece(first_row + x_line1, x_at1);
  let x_line2 = (local + THREADS * 2u) / PIECES;
  let x_at2 = (local + THREADS * 2u) % PIECES;
  var next_x2 = x_piece(first_row + x_line2, x_at2);
  let x_line3 = (local + THREADS * 3u) / PIECES;
  let x_at3 = (local + THREADS * 3u) % PIECES;
  var next_x3 = x_piece(first_row + x_line3, x_at3);
  let line0 = (local + THREADS * 0u) / PIECES;
  let at0 = (local + THREADS * 0u) % PIECES;
  var next_weights0 = weight_piece(first_out + line0, at0);
  let line1 = (local + THREADS * 1u) / PIECES;
  let at1 = (local + THREADS * 1u) % PIECES;
  var next_weights1 = weight_piece(first_out + line1, at1);
  let line2 = (local + THREADS * 2u) / PIECES;
  let at2 = (local + THREADS * 2u) % PIECES;
  var next_weights2 = weight_piece(first_out + line2, at2);
  let line3 = (local + THREADS * 3u) / PIECES;
  let at3 = (local + THREADS * 3u) % PIECES;
  var next_weights3 = weight_piece(first_out + line3, at3);
  let pieces = u.width / 8u;
  for (var piece = 0u; piece < pieces; piece += PIECES) {
    workgroupBarrier();
    staged[x_line0 * STRIDE + x_at0] = next_x0;
    staged[x_line1 * STRIDE + x_at1] = next_x1;
    staged[x_line2 * STRIDE + x_at2] = next_x2;
    staged[x_line3 * STRIDE + x_at3] = next_x3;
    staged[(ROWS + line0) * STRIDE + at0] = next_weights0;
    staged[(ROWS + line1) * STRIDE + at1] = next_weights1;
    staged[(ROWS + line2) * STRIDE + at2] = next_weights2;
    staged[(ROWS + line3) * STRIDE + at3] = next_weights3;
    workgroupBarrier();
    let next = min(piece + PIECES, pieces - PIECES);
    next_x0 = x_piece(first_row + x_line0, next + x_at0);
    next_x1 = x_piece(first_row + x_line1, next + x_at1);
    next_x2 = x_piece(first_row + x_line2, next + x_at2);
    next_x3 = x_piece(first_row + x_line3, next + x_at3);
    next_weights0 = weight_piece(first_out + line0, next + at0);
    next_weights1 = weight_piece(first_out + line1, next + at1);
    next_weights2 = weight_piece(first_out + line2, next + at2);
    next_weights3 = weight_piece(first_out + line3, next + at3);
    {
      let right0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 0u) * STRIDE + 2u * 0u, STRIDE);
      let right1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 1u) * STRIDE + 2u * 0u, STRIDE);
      let right2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 2u) * STRIDE + 2u * 0u, STRIDE);
      let right3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 3u) * STRIDE + 2u * 0u, STRIDE);
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 0u) * STRIDE + 2u * 0u, STRIDE);
        sum0_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum0_0);
        sum0_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum0_1);
        sum0_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum0_2);
        sum0_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum0_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 1u) * STRIDE + 2u * 0u, STRIDE);
        sum1_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum1_0);
        sum1_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum1_1);
        sum1_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum1_2);
        sum1_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum1_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 2u) * STRIDE + 2u * 0u, STRIDE);
        sum2_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum2_0);
        sum2_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum2_1);
        sum2_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum2_2);
        sum2_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum2_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 3u) * STRIDE + 2u * 0u, STRIDE);
        sum3_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum3_0);
        sum3_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum3_1);
        sum3_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum3_2);
        sum3_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum3_3);
      }
    }
    {
      let right0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 0u) * STRIDE + 2u * 1u, STRIDE);
      let right1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 1u) * STRIDE + 2u * 1u, STRIDE);
      let right2 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 2u) * STRIDE + 2u * 1u, STRIDE);
      let right3 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * 3u) * STRIDE + 2u * 1u, STRIDE);
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 0u) * STRIDE + 2u * 1u, STRIDE);
        sum0_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum0_0);
        sum0_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum0_1);
        sum0_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum0_2);
        sum0_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum0_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 1u) * STRIDE + 2u * 1u, STRIDE);
        sum1_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum1_0);
        sum1_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum1_1);
        sum1_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum1_2);
        sum1_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum1_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 2u) * STRIDE + 2u * 1u, STRIDE);
        sum2_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum2_0);
        sum2_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum2_1);
        sum2_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum2_2);
        sum2_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum2_3);
      }
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * 3u) * STRIDE + 2u * 1u, STRIDE);
        sum3_0 = subgroupMatrixMultiplyAccumulate(left, right0, sum3_0);
        sum3_1 = subgroupMatrixMultiplyAccumulate(left, right1, sum3_1);
        sum3_2 = subgroupMatrixMultiplyAccumulate(left, right2, sum3_2);
        sum3_3 = subgroupMatrixMultiplyAccumulate(left, right3, sum3_3);
      }
    }
  }
  let results = subgroup * 16u * LINE;
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&staged, results + 4u * 0u, sum0_0, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 1u, sum0_1, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 2u, sum0_2, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 3u, sum0_3, LINE);
  workgroupBarrier();
  for (var n = lane; n < 256u * BROAD; n += 32u) {
    let r = n / (16u * BROAD);
    let c = n % (16u * BROAD);
    let row = first_row + down + 16u * 0u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(staged[results + r * LINE + c / 4u][c % 4u]));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&staged, results + 4u * 0u, sum1_0, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 1u, sum1_1, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 2u, sum1_2, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 3u, sum1_3, LINE);
  workgroupBarrier();
  for (var n = lane; n < 256u * BROAD; n += 32u) {
    let r = n / (16u * BROAD);
    let c = n % (16u * BROAD);
    let row = first_row + down + 16u * 1u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(staged[results + r * LINE + c / 4u][c % 4u]));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&staged, results + 4u * 0u, sum2_0, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 1u, sum2_1, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 2u, sum2_2, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 3u, sum2_3, LINE);
  workgroupBarrier();
  for (var n = lane; n < 256u * BROAD; n += 32u) {
    let r = n / (16u * BROAD);
    let c = n % (16u * BROAD);
    let row = first_row + down + 16u * 2u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(staged[results + r * LINE + c / 4u][c % 4u]));
    }
  }
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&staged, results + 4u * 0u, sum3_0, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 1u, sum3_1, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 2u, sum3_2, LINE);
  subgroupMatrixStore<row_major>(&staged, results + 4u * 3u, sum3_3, LINE);
  workgroupBarrier();
  for (var n = lane; n < 256u * BROAD; n += 32u) {
    let r = n / (16u * BROAD);
    let c = n % (16u * BROAD);
    let row = first_row + down + 16u * 3u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(staged[results + r * LINE + c / 4u][c % 4u]));
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
  out_data[u.out_at + at] = sum;
}

