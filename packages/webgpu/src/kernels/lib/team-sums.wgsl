// The end of a product of few rows: a workgroup of teams of LANES threads, each with partial SUMS of OUTS rows of weights by FEW rows of x, which meet by
// subgroup where its size is known, else in a tree.
const THREADS = 128u;
const TEAMS = THREADS / LANES;
#if SUBGROUP
const COLUMNS = THREADS / SUBGROUP;
#else
const COLUMNS = THREADS;
#endif
var<workgroup> partial: array<f32, SUMS * COLUMNS>;

// Every thread must call. `first`: the team's first row of weights; `first_row`: the first row of x.
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
  const SHARES = LANES / SUBGROUP;
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
  const SHARES = 1u;
#endif
  for (var k = lane; k < SUMS; k += LANES) {
    let o = first + k / FEW;
    let r = first_row + k % FEW;
    if o < u.outs && r < u.rows {
      var sum = 0.0;
      for (var share = 0u; share < SHARES; share++) {
        sum += partial[k * COLUMNS + local / LANES * (COLUMNS / TEAMS) + share];
      }
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
}
