// The end of a product of few rows. A workgroup has teams of LANES threads, and each thread has partial SUMS of OUTS
// rows of weights by FEW rows of x. They are added by subgroup if its size is known, else in a tree.
// GATED: a team has one row of gates and the row that it gates, u.outs / 2 further on. OUTS is 2, and the result of the
// activation is stored as well.
const THREADS = 128u;
const TEAMS = THREADS / LANES;
#if SUBGROUP
const COLUMNS = THREADS / SUBGROUP;
const SHARES = LANES / SUBGROUP;
#else
const COLUMNS = THREADS;
const SHARES = 1u;
#endif
var<workgroup> partial: array<f32, SUMS * COLUMNS>;

#if NORM
// The scale of a row of x, after the sums were added: the last FEW of them are sums of squares.
fn scale_of(r: u32, local: u32) -> f32 {
  return 1.0 / sqrt(team_sum(OUTS * FEW + r, local) / f32(u.width) + u.epsilon);
}
#endif

#if GATED
#include gate
#endif

// Row n of weights of the team whose first row is `first`.
fn row_of(first: u32, n: u32) -> u32 {
#if GATED
  return min(first / 2u, u.outs / 2u - 1u) + n * (u.outs / 2u);
#else
  return min(first + n, u.outs - 1u);
#endif
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
#if SUBGROUP
#repeat k SUMS
  let sum{k} = subgroupAdd(sums[{k}]);
#end
  if local % SUBGROUP == 0u {
#repeat k SUMS
    partial[{k}u * COLUMNS + local / SUBGROUP] = sum{k};
#end
  }
  workgroupBarrier();
#else
#repeat k SUMS
  partial[{k}u * COLUMNS + local] = sums[{k}];
#end
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if lane < half {
      for (var k = 0u; k < SUMS; k++) {
        partial[k * COLUMNS + local] += partial[k * COLUMNS + local + half];
      }
    }
  }
  workgroupBarrier();
#endif
  for (var k = lane; k < OUTS * FEW; k += LANES) {
    let o = row_of(first, k / FEW);
    let r = first_row + k % FEW;
    if first + k / FEW < u.outs && r < u.rows {
      var sum = team_sum(k, local);
#if NORM
      sum *= scale_of(k % FEW, local);
#endif
      let at = r * u.stride + u.first_out + o;
#if BIAS
      sum += $bias[u.first_out + o];
#endif
#if RESIDUAL
      sum += $residual[at];
#endif
      $out[at] = sum;
    }
  }
#if GATED
  if lane < FEW && first < u.outs && first_row + lane < u.rows {
    var gate = team_sum(lane, local);
    var value = team_sum(FEW + lane, local);
#if NORM
    let scale = scale_of(lane, local);
    gate *= scale;
    value *= scale;
#endif
    $gated[(first_row + lane) * (u.outs / 2u) + first / 2u] = gate_of(gate) * value;
  }
#endif
}
