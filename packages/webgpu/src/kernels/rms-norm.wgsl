// rmsNorm: one workgroup for each row. It sums the squares, then scales every number. WIDE: four numbers a load.
#include reduce
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.y * groups.x + group.x;
  if row >= u.rows {
    return;
  }
  var squares = 0.0;
  for (var i = local; i < u.pieces; i += THREADS) {
    let x = $x[row * u.pieces + i];
#if WIDE
    squares += dot(x, x);
#else
    squares += x * x;
#endif
  }
  let scale = 1.0 / sqrt(sum_over_threads(squares, local) / f32(u.width) + u.epsilon);
  for (var i = local; i < u.pieces; i += THREADS) {
    $out[row * u.pieces + i] = $x[row * u.pieces + i] * scale * $weight[i];
  }
}
