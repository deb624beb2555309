// linear: out[rows, outs] = x[rows, width] . weight[outs, width]^T, plus bias and residual.
//
// FEW rows (at most 4): LANES threads walk OUTS rows of weights together, 16 bytes of each at a load, and the numbers of x that belong to them are loaded
// once for all; their sums meet by subgroup where its size is known, else in a tree. A workgroup holds 128 / LANES such teams.
// Otherwise: a workgroup makes a tile of 4 SIDE x 4 SIDE results, see lib/tile.wgsl; weights become f32 as they are staged.
#if FEW
const THREADS = 128u;
const TEAMS = THREADS / LANES;
const SUMS = OUTS * FEW;
#if WIDE
#include half
// 16 bytes of weights hold CHUNK of them, QUADS x 4.
const QUADS = CHUNK / 4u;
fn chunk_of(row: u32, chunk: u32) -> array<vec4f, QUADS> {
  let bits = $weight[row * (u.width / CHUNK) + chunk];
#if WEIGHT == f32
  return array<vec4f, QUADS>(bitcast<vec4f>(bits));
#endif
#if WEIGHT == f16
  return array<vec4f, QUADS>(vec4f(f16_pair(bits.x), f16_pair(bits.y)), vec4f(f16_pair(bits.z), f16_pair(bits.w)));
#endif
#if WEIGHT == bf16
  return array<vec4f, QUADS>(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
#endif
#if WEIGHT == q8_0
  return array<vec4f, QUADS>(signed_bytes(bits.x), signed_bytes(bits.y), signed_bytes(bits.z), signed_bytes(bits.w));
#endif
#if NIBBLES
  let low = bits & vec4u(0x0f0f0f0fu);
  let high = (bits >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  return array<vec4f, QUADS>(bytes(low.x), bytes(low.y), bytes(low.z), bytes(low.w), bytes(high.x), bytes(high.y), bytes(high.z), bytes(high.w));
#endif
}

fn signed_bytes(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u));
}

fn bytes(word: u32) -> vec4f {
  return vec4f((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u));
}
#else
#include weight
#endif
#if SUBGROUP
var<workgroup> partial: array<f32, SUMS * THREADS / SUBGROUP>;
#else
var<workgroup> partial: array<f32, SUMS * THREADS>;
#endif

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let first = ((group.y * groups.x + group.x) * TEAMS + local / LANES) * OUTS;
  var sums: array<f32, SUMS>;
#if WIDE
  let quads = u.width / 4u;
  for (var chunk = lane; chunk < u.width / CHUNK; chunk += LANES) {
    var x: array<array<vec4f, QUADS>, FEW>;
#if NIBBLES
    var x_sums = array<f32, FEW>();
#endif
    for (var r = 0u; r < FEW; r++) {
      for (var q = 0u; q < QUADS; q++) {
        x[r][q] = $x[r * quads + chunk * QUADS + q];
#if NIBBLES
        x_sums[r] += dot(x[r][q], vec4f(1.0));
#endif
      }
    }
    for (var o = 0u; o < OUTS; o++) {
      let row = min(first + o, u.outs - 1u);
      let weights = chunk_of(row, chunk);
#if QUANTISED
      let block = row * (u.width / 32u) + chunk * CHUNK / 32u;
      let scale = f16_pair($scales[block / 2u])[block & 1u];
#if WEIGHT == q4_0
      let low = -8.0 * scale;
#endif
#if WEIGHT == q4_1
      let low = f16_pair($minimums[block / 2u])[block & 1u];
#endif
#endif
      for (var r = 0u; r < FEW; r++) {
        var product = 0.0;
        for (var q = 0u; q < QUADS; q++) {
          product += dot(x[r][q], weights[q]);
        }
#if QUANTISED
        product *= scale;
#endif
#if NIBBLES
        product += low * x_sums[r];
#endif
        sums[o * FEW + r] += product;
      }
    }
  }
#else
  for (var i = lane; i < u.width; i += LANES) {
    for (var o = 0u; o < OUTS; o++) {
      let weight = weight_element(min(first + o, u.outs - 1u), i);
      for (var r = 0u; r < FEW; r++) {
        sums[o * FEW + r] += weight * $x[r * u.width + i];
      }
    }
  }
#endif
#if SUBGROUP
  for (var k = 0u; k < SUMS; k++) {
    let sum = subgroupAdd(sums[k]);
    if local % SUBGROUP == 0u {
      partial[k * (THREADS / SUBGROUP) + local / SUBGROUP] = sum;
    }
  }
  workgroupBarrier();
  const SHARES = LANES / SUBGROUP;
  const COLUMNS = THREADS / SUBGROUP;
#else
  for (var k = 0u; k < SUMS; k++) {
    partial[k * THREADS + local] = sums[k];
  }
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if lane < half {
      for (var k = 0u; k < SUMS; k++) {
        partial[k * THREADS + local] += partial[k * THREADS + local + half];
      }
    }
  }
  workgroupBarrier();
  const SHARES = 1u;
  const COLUMNS = THREADS;
#endif
  for (var k = lane; k < SUMS; k += LANES) {
    let o = first + k / FEW;
    let r = k % FEW;
    if o < u.outs {
      var sum = 0.0;
      for (var share = 0u; share < SHARES; share++) {
        sum += partial[k * COLUMNS + local / LANES * (COLUMNS / TEAMS) + share];
      }
#if BIAS
      sum += $bias[o];
#endif
#if RESIDUAL
      sum += $residual[r * u.outs + o];
#endif
      $out[r * u.outs + o] = sum;
    }
  }
}
#else
#include tile
#include weight-quad
fn x_quad(row: u32, q: u32) -> vec4f {
#if WIDE
  return $x[row * (u.width / 4u) + q];
#else
  var quad = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if 4u * q + c < u.width {
      quad[c] = $x[row * u.width + 4u * q + c];
    }
  }
  return quad;
#endif
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
#if BIAS
        sum += $bias[o];
#endif
#if RESIDUAL
        sum += $residual[row * u.outs + o];
#endif
        $out[row * u.outs + o] = sum;
      }
    }
  }
}
#endif
