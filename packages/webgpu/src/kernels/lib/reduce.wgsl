// Sums and maxima over a workgroup of THREADS, in a fixed order. Every thread must call, and gets the result.
#if SUBGROUP
var<workgroup> reduced: array<f32, THREADS / SUBGROUP>;

fn sum_over_threads(x: f32, local: u32) -> f32 {
  let share = subgroupAdd(x);
  if local % SUBGROUP == 0u {
    reduced[local / SUBGROUP] = share;
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < THREADS / SUBGROUP; i++) {
    sum += reduced[i];
  }
  workgroupBarrier();
  return sum;
}

fn max_over_threads(x: f32, local: u32) -> f32 {
  let share = subgroupMax(x);
  if local % SUBGROUP == 0u {
    reduced[local / SUBGROUP] = share;
  }
  workgroupBarrier();
  var most = reduced[0];
  for (var i = 1u; i < THREADS / SUBGROUP; i++) {
    most = max(most, reduced[i]);
  }
  workgroupBarrier();
  return most;
}
#else
var<workgroup> reduced: array<f32, THREADS>;

fn sum_over_threads(x: f32, local: u32) -> f32 {
  reduced[local] = x;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      reduced[local] += reduced[local + half];
    }
  }
  workgroupBarrier();
  let sum = reduced[0];
  workgroupBarrier();
  return sum;
}

fn max_over_threads(x: f32, local: u32) -> f32 {
  reduced[local] = x;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      reduced[local] = max(reduced[local], reduced[local + half]);
    }
  }
  workgroupBarrier();
  let most = reduced[0];
  workgroupBarrier();
  return most;
}
#endif
