enable subgroups;
const FEW = 1u;
const LANES = 128u;
const OUTS = 2u;
const SUMS = 2u;
const CHUNK = 8u;
const QUADS = 2u;
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
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> residual_data: array<f32>;
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
  if local % SUBGROUP == 0u {
    partial[0u * COLUMNS + local / SUBGROUP] = sum0;
    partial[1u * COLUMNS + local / SUBGROUP] = sum1;
  }
  workgroupBarrier();
  for (var k = lane; k < OUTS * FEW; k += LANES) {
    let o = row_of(first, k / FEW);
    let r = first_row + k % FEW;
    if first + k / FEW < u.outs && r < u.rows {
      var sum = team_sum(k, local);
      let at = r * u.stride + u.first_out + o;
      sum += residual_data[u.residual_at + at];
      residual_data[u.out_at + at] = sum;
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
  let row1 = row_of(first, 1u);
  var sum1_0 = 0.0;
  let chunks = u.width / CHUNK;
  for (var chunk = lane; chunk < chunks; chunk += LANES) {
    let weights0 = weight_data[u.weight_at + row0 * chunks + chunk];
    let weights1 = weight_data[u.weight_at + row1 * chunks + chunk];
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
    }
  }
  finish(
    array<f32, SUMS>(
      sum0_0,
      sum1_0,
    ),
    local, first, first_row,
  );
}
