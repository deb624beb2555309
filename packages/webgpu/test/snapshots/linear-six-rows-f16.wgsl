enable subgroups;
const FEW = 6u;
const LANES = 128u;
const OUTS = 4u;
const SUMS = 24u;
const CHUNK = 8u;
const QUADS = 2u;
const SUBGROUP = 32u;
struct Uniforms {
  x_at: u32,
  out_at: u32,
  weight_at: u32,
  rows: u32,
  width: u32,
  outs: u32,
  stride: u32,
  first_out: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(3) var<storage, read> weight_data: array<vec4<u32>>;
// linear: out[rows, outs] = x[rows, width] . weight[outs, width]^T, plus bias and residual, for few rows: FEW at a
// time, in each layer of workgroups along z.
//
// LANES threads, a team, read OUTS rows of weights together, 16 bytes of each a load, and load the matching numbers of
// x once for all of them; lib/team-sums.wgsl adds up. A workgroup holds 128 / LANES teams.
// NORM: x is normalised (rmsNorm) as it is read: it is multiplied by the norm's weights, and the result is divided by
// the root of the mean square at the end.
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
  let sum1 = subgroupAdd(sums[1]);
  let sum2 = subgroupAdd(sums[2]);
  let sum3 = subgroupAdd(sums[3]);
  let sum4 = subgroupAdd(sums[4]);
  let sum5 = subgroupAdd(sums[5]);
  let sum6 = subgroupAdd(sums[6]);
  let sum7 = subgroupAdd(sums[7]);
  let sum8 = subgroupAdd(sums[8]);
  let sum9 = subgroupAdd(sums[9]);
  let sum10 = subgroupAdd(sums[10]);
  let sum11 = subgroupAdd(sums[11]);
  let sum12 = subgroupAdd(sums[12]);
  let sum13 = subgroupAdd(sums[13]);
  let sum14 = subgroupAdd(sums[14]);
  let sum15 = subgroupAdd(sums[15]);
  let sum16 = subgroupAdd(sums[16]);
  let sum17 = subgroupAdd(sums[17]);
  let sum18 = subgroupAdd(sums[18]);
  let sum19 = subgroupAdd(sums[19]);
  let sum20 = subgroupAdd(sums[20]);
  let sum21 = subgroupAdd(sums[21]);
  let sum22 = subgroupAdd(sums[22]);
  let sum23 = subgroupAdd(sums[23]);
  if local % SUBGROUP == 0u {
    partial[0u * COLUMNS + local / SUBGROUP] = sum0;
    partial[1u * COLUMNS + local / SUBGROUP] = sum1;
    partial[2u * COLUMNS + local / SUBGROUP] = sum2;
    partial[3u * COLUMNS + local / SUBGROUP] = sum3;
    partial[4u * COLUMNS + local / SUBGROUP] = sum4;
    partial[5u * COLUMNS + local / SUBGROUP] = sum5;
    partial[6u * COLUMNS + local / SUBGROUP] = sum6;
    partial[7u * COLUMNS + local / SUBGROUP] = sum7;
    partial[8u * COLUMNS + local / SUBGROUP] = sum8;
    partial[9u * COLUMNS + local / SUBGROUP] = sum9;
    partial[10u * COLUMNS + local / SUBGROUP] = sum10;
    partial[11u * COLUMNS + local / SUBGROUP] = sum11;
    partial[12u * COLUMNS + local / SUBGROUP] = sum12;
    partial[13u * COLUMNS + local / SUBGROUP] = sum13;
    partial[14u * COLUMNS + local / SUBGROUP] = sum14;
    partial[15u * COLUMNS + local / SUBGROUP] = sum15;
    partial[16u * COLUMNS + local / SUBGROUP] = sum16;
    partial[17u * COLUMNS + local / SUBGROUP] = sum17;
    partial[18u * COLUMNS + local / SUBGROUP] = sum18;
    partial[19u * COLUMNS + local / SUBGROUP] = sum19;
    partial[20u * COLUMNS + local / SUBGROUP] = sum20;
    partial[21u * COLUMNS + local / SUBGROUP] = sum21;
    partial[22u * COLUMNS + local / SUBGROUP] = sum22;
    partial[23u * COLUMNS + local / SUBGROUP] = sum23;
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

// Numbers 4 q to 4 q + 3 of the CHUNK weights in 16 bytes.
fn quad(bits: vec4<u32>, q: u32) -> vec4f {
  return vec4f(f16_pair(bits[2u * q]), f16_pair(bits[2u * q + 1u]));
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
  let row0 = row_of(first, 0u);
  var sum0_0 = 0.0;
  var sum0_1 = 0.0;
  var sum0_2 = 0.0;
  var sum0_3 = 0.0;
  var sum0_4 = 0.0;
  var sum0_5 = 0.0;
  let row1 = row_of(first, 1u);
  var sum1_0 = 0.0;
  var sum1_1 = 0.0;
  var sum1_2 = 0.0;
  var sum1_3 = 0.0;
  var sum1_4 = 0.0;
  var sum1_5 = 0.0;
  let row2 = row_of(first, 2u);
  var sum2_0 = 0.0;
  var sum2_1 = 0.0;
  var sum2_2 = 0.0;
  var sum2_3 = 0.0;
  var sum2_4 = 0.0;
  var sum2_5 = 0.0;
  let row3 = row_of(first, 3u);
  var sum3_0 = 0.0;
  var sum3_1 = 0.0;
  var sum3_2 = 0.0;
  var sum3_3 = 0.0;
  var sum3_4 = 0.0;
  var sum3_5 = 0.0;
  let chunks = u.width / CHUNK;
  for (var chunk = lane; chunk < chunks; chunk += LANES) {
    let weights0 = weight_data[u.weight_at + row0 * chunks + chunk];
    let weights1 = weight_data[u.weight_at + row1 * chunks + chunk];
    let weights2 = weight_data[u.weight_at + row2 * chunks + chunk];
    let weights3 = weight_data[u.weight_at + row3 * chunks + chunk];
    {
      let at = (min(first_row + 0u, u.rows - 1u) * chunks + chunk) * QUADS;
      let x0 = x_data[u.x_at + at + 0u];
      let x1 = x_data[u.x_at + at + 1u];
      {
        var product = 0.0;
        product += dot(x0, quad(weights0, 0u));
        product += dot(x1, quad(weights0, 1u));
        sum0_0 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights1, 0u));
        product += dot(x1, quad(weights1, 1u));
        sum1_0 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights2, 0u));
        product += dot(x1, quad(weights2, 1u));
        sum2_0 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights3, 0u));
        product += dot(x1, quad(weights3, 1u));
        sum3_0 += product;
      }
    }
    {
      let at = (min(first_row + 1u, u.rows - 1u) * chunks + chunk) * QUADS;
      let x0 = x_data[u.x_at + at + 0u];
      let x1 = x_data[u.x_at + at + 1u];
      {
        var product = 0.0;
        product += dot(x0, quad(weights0, 0u));
        product += dot(x1, quad(weights0, 1u));
        sum0_1 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights1, 0u));
        product += dot(x1, quad(weights1, 1u));
        sum1_1 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights2, 0u));
        product += dot(x1, quad(weights2, 1u));
        sum2_1 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights3, 0u));
        product += dot(x1, quad(weights3, 1u));
        sum3_1 += product;
      }
    }
    {
      let at = (min(first_row + 2u, u.rows - 1u) * chunks + chunk) * QUADS;
      let x0 = x_data[u.x_at + at + 0u];
      let x1 = x_data[u.x_at + at + 1u];
      {
        var product = 0.0;
        product += dot(x0, quad(weights0, 0u));
        product += dot(x1, quad(weights0, 1u));
        sum0_2 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights1, 0u));
        product += dot(x1, quad(weights1, 1u));
        sum1_2 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights2, 0u));
        product += dot(x1, quad(weights2, 1u));
        sum2_2 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights3, 0u));
        product += dot(x1, quad(weights3, 1u));
        sum3_2 += product;
      }
    }
    {
      let at = (min(first_row + 3u, u.rows - 1u) * chunks + chunk) * QUADS;
      let x0 = x_data[u.x_at + at + 0u];
      let x1 = x_data[u.x_at + at + 1u];
      {
        var product = 0.0;
        product += dot(x0, quad(weights0, 0u));
        product += dot(x1, quad(weights0, 1u));
        sum0_3 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights1, 0u));
        product += dot(x1, quad(weights1, 1u));
        sum1_3 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights2, 0u));
        product += dot(x1, quad(weights2, 1u));
        sum2_3 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights3, 0u));
        product += dot(x1, quad(weights3, 1u));
        sum3_3 += product;
      }
    }
    {
      let at = (min(first_row + 4u, u.rows - 1u) * chunks + chunk) * QUADS;
      let x0 = x_data[u.x_at + at + 0u];
      let x1 = x_data[u.x_at + at + 1u];
      {
        var product = 0.0;
        product += dot(x0, quad(weights0, 0u));
        product += dot(x1, quad(weights0, 1u));
        sum0_4 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights1, 0u));
        product += dot(x1, quad(weights1, 1u));
        sum1_4 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights2, 0u));
        product += dot(x1, quad(weights2, 1u));
        sum2_4 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights3, 0u));
        product += dot(x1, quad(weights3, 1u));
        sum3_4 += product;
      }
    }
    {
      let at = (min(first_row + 5u, u.rows - 1u) * chunks + chunk) * QUADS;
      let x0 = x_data[u.x_at + at + 0u];
      let x1 = x_data[u.x_at + at + 1u];
      {
        var product = 0.0;
        product += dot(x0, quad(weights0, 0u));
        product += dot(x1, quad(weights0, 1u));
        sum0_5 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights1, 0u));
        product += dot(x1, quad(weights1, 1u));
        sum1_5 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights2, 0u));
        product += dot(x1, quad(weights2, 1u));
        sum2_5 += product;
      }
      {
        var product = 0.0;
        product += dot(x0, quad(weights3, 0u));
        product += dot(x1, quad(weights3, 1u));
        sum3_5 += product;
      }
    }
  }
  finish(
    array<f32, SUMS>(
      sum0_0,
      sum0_1,
      sum0_2,
      sum0_3,
      sum0_4,
      sum0_5,
      sum1_0,
      sum1_1,
      sum1_2,
      sum1_3,
      sum1_4,
      sum1_5,
      sum2_0,
      sum2_1,
      sum2_2,
      sum2_3,
      sum2_4,
      sum2_5,
      sum3_0,
      sum3_1,
      sum3_2,
      sum3_3,
      sum3_4,
      sum3_5,
    ),
    local, first, first_row,
  );
}
