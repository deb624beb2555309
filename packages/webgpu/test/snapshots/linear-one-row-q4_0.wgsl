struct Uniforms {
  x_at: u32,
  bytes_at: u32,
  blocks: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> bytes_data: array<vec4<u32>>;
// linear: few rows by quantised weights, in two dispatches. QUANTISE, the first, converts x to bytes, 32 numbers at a
// time with one scale, a thread for each block. It stores 48 bytes for each [row, block]: 16 bytes of numbers, 16 more,
// and the scale and the scaled sum as f32. In the second, teams of threads multiply four bytes at a time (DP4A), a
// block and the one LANES further on at once. NORM: x is normalised (rmsNorm) first, by one workgroup for each row.
fn quantise(block: u32, x: array<vec4f, 8>) {
  var most = vec4f();
  most = max(most, abs(x[0]));
  most = max(most, abs(x[1]));
  most = max(most, abs(x[2]));
  most = max(most, abs(x[3]));
  most = max(most, abs(x[4]));
  most = max(most, abs(x[5]));
  most = max(most, abs(x[6]));
  most = max(most, abs(x[7]));
  let scale = max(max(most.x, most.y), max(most.z, most.w)) / 127.0;
  let inverse = select(0.0, 1.0 / scale, scale > 0.0);
  var sum = 0;
  let bytes0 = vec4i(round(x[0] * inverse));
  sum += bytes0.x + bytes0.y + bytes0.z + bytes0.w;
  let bytes1 = vec4i(round(x[1] * inverse));
  sum += bytes1.x + bytes1.y + bytes1.z + bytes1.w;
  let bytes2 = vec4i(round(x[2] * inverse));
  sum += bytes2.x + bytes2.y + bytes2.z + bytes2.w;
  let bytes3 = vec4i(round(x[3] * inverse));
  sum += bytes3.x + bytes3.y + bytes3.z + bytes3.w;
  let bytes4 = vec4i(round(x[4] * inverse));
  sum += bytes4.x + bytes4.y + bytes4.z + bytes4.w;
  let bytes5 = vec4i(round(x[5] * inverse));
  sum += bytes5.x + bytes5.y + bytes5.z + bytes5.w;
  let bytes6 = vec4i(round(x[6] * inverse));
  sum += bytes6.x + bytes6.y + bytes6.z + bytes6.w;
  let bytes7 = vec4i(round(x[7] * inverse));
  sum += bytes7.x + bytes7.y + bytes7.z + bytes7.w;
  bytes_data[u.bytes_at + 3u * block] = vec4u(pack4xI8(bytes0), pack4xI8(bytes1), pack4xI8(bytes2), pack4xI8(bytes3));
  bytes_data[u.bytes_at + 3u * block + 1u] = vec4u(pack4xI8(bytes4), pack4xI8(bytes5), pack4xI8(bytes6), pack4xI8(bytes7));
  bytes_data[u.bytes_at + 3u * block + 2u] = vec4u(bitcast<u32>(scale), bitcast<u32>(scale * f32(sum)), 0u, 0u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let block = thread.x;
  if block >= u.blocks {
    return;
  }
  let x0 = x_data[u.x_at + 8u * block + 0u];
  let x1 = x_data[u.x_at + 8u * block + 1u];
  let x2 = x_data[u.x_at + 8u * block + 2u];
  let x3 = x_data[u.x_at + 8u * block + 3u];
  let x4 = x_data[u.x_at + 8u * block + 4u];
  let x5 = x_data[u.x_at + 8u * block + 5u];
  let x6 = x_data[u.x_at + 8u * block + 6u];
  let x7 = x_data[u.x_at + 8u * block + 7u];
  quantise(block, array<vec4f, 8>(x0, x1, x2, x3, x4, x5, x6, x7));
}

// ---- the next dispatch

enable subgroups;
const FEW = 1u;
const LANES = 32u;
const OUTS = 1u;
const SUMS = 1u;
const SUBGROUP = 32u;
struct Uniforms {
  bytes_at: u32,
  out_at: u32,
  weight_at: u32,
  scales_at: u32,
  rows: u32,
  width: u32,
  outs: u32,
  stride: u32,
  first_out: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> bytes_data: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(3) var<storage, read> weight_data: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> scales_data: array<u32>;
// linear: few rows by quantised weights, in two dispatches. QUANTISE, the first, converts x to bytes, 32 numbers at a
// time with one scale, a thread for each block. It stores 48 bytes for each [row, block]: 16 bytes of numbers, 16 more,
// and the scale and the scaled sum as f32. In the second, teams of threads multiply four bytes at a time (DP4A), a
// block and the one LANES further on at once. NORM: x is normalised (rmsNorm) first, by one workgroup for each row.
// The end of a product of few rows. A workgroup has teams of LANES threads, and each thread has partial SUMS of OUTS
// rows of weights by FEW rows of x. They are added by subgroup if its size is known, else in a tree.
// GATED: a team has one row of gates and the row that it gates, u.outs / 2 further on. OUTS is 2, and the result of the
// activation is stored as well.
const THREADS = 128u;
const TEAMS = THREADS / LANES;
const COLUMNS = THREADS / SUBGROUP;
const SHARES = LANES / SUBGROUP;
var<workgroup> partial: array<f32, SUMS * COLUMNS>;



// Row n of weights of the team whose first row is `first`.
fn row_of(first: u32, n: u32) -> u32 {
  return min(first + n, u.outs - 1u);
}

// Sum k of this thread's team.
fn team_sum(k: u32, local: u32) -> f32 {
  var sum = 0.0;
  for (var share = 0u; share < SHARES; share++) {
    sum += partial[k * COLUMNS + local / LANES * (COLUMNS / TEAMS) + share];
  }
  return sum;
}

// Adds the sums and stores the results. Every thread must call. `first`: the team's first row of weights; `first_row`:
// the first row of x.
fn finish(sums: array<f32, SUMS>, local: u32, first: u32, first_row: u32) {
  let lane = local % LANES;
  let sum0 = subgroupAdd(sums[0]);
  if local % SUBGROUP == 0u {
    partial[0u * COLUMNS + local / SUBGROUP] = sum0;
  }
  workgroupBarrier();
  for (var k = lane; k < OUTS * FEW; k += LANES) {
    let o = row_of(first, k / FEW);
    let r = first_row + k % FEW;
    if first + k / FEW < u.outs && r < u.rows {
      var sum = team_sum(k, local);
      let at = r * u.stride + u.first_out + o;
      out_data[u.out_at + at] = sum;
    }
  }
}

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

fn dots(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let first = ((group.y * groups.x + group.x) * TEAMS + local / LANES) * OUTS;
  let first_row = group.z * FEW;
  let blocks = u.width / 32u;
  let row0 = row_of(first, 0u) * blocks;
  var sum0_0 = 0.0;
  for (var block = lane; block < blocks; block += 2u * LANES) {
    let next = min(block + LANES, blocks - 1u);
    let factor0 = 1.0;
    let factor1 = select(0.0, 1.0, block + LANES < blocks);
    let block0 = block;
    let block1 = next;
    let at0_0 = row0 + block0;
    let nibbles0_0 = weight_data[u.weight_at + at0_0];
    let low0_0 = nibbles0_0 & vec4u(0x0f0f0f0fu);
    let high0_0 = (nibbles0_0 >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
    let scale0_0 = factor0 * f16_pair(scales_data[u.scales_at + at0_0 / 2u])[at0_0 & 1u];
    let least0_0 = -8.0 * scale0_0;
    let at0_1 = row0 + block1;
    let nibbles0_1 = weight_data[u.weight_at + at0_1];
    let low0_1 = nibbles0_1 & vec4u(0x0f0f0f0fu);
    let high0_1 = (nibbles0_1 >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
    let scale0_1 = factor1 * f16_pair(scales_data[u.scales_at + at0_1 / 2u])[at0_1 & 1u];
    let least0_1 = -8.0 * scale0_1;
    {
      let at0 = 3u * (min(first_row + 0u, u.rows - 1u) * blocks + block0);
      let x_low0 = bytes_data[u.bytes_at + at0];
      let x_high0 = bytes_data[u.bytes_at + at0 + 1u];
      let x_scale0 = bitcast<vec2f>(bytes_data[u.bytes_at + at0 + 2u].xy);
      sum0_0 += scale0_0 * x_scale0.x * f32(dots(low0_0, x_low0) + dots(high0_0, x_high0));
      sum0_0 += least0_0 * x_scale0.y;
      let at1 = 3u * (min(first_row + 0u, u.rows - 1u) * blocks + block1);
      let x_low1 = bytes_data[u.bytes_at + at1];
      let x_high1 = bytes_data[u.bytes_at + at1 + 1u];
      let x_scale1 = bitcast<vec2f>(bytes_data[u.bytes_at + at1 + 2u].xy);
      sum0_0 += scale0_1 * x_scale1.x * f32(dots(low0_1, x_low1) + dots(high0_1, x_high1));
      sum0_0 += least0_1 * x_scale1.y;
    }
  }
  finish(
    array<f32, SUMS>(
      sum0_0,
    ),
    local, first, first_row,
  );
}
