// rmsNorm: a workgroup for each row: its mean square, then every number of it.
#include reduce
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = group.y * groups.x + group.x;
  if row >= u.rows {
    return;
  }
  var squares = 0.0;
  for (var i = local; i < u.width; i += THREADS) {
    let x = $x[row * u.width + i];
    squares += x * x;
  }
  let scale = 1.0 / sqrt(sum_over_threads(squares, local) / f32(u.width) + u.epsilon);
  for (var i = local; i < u.width; i += THREADS) {
    $out[row * u.width + i] = $x[row * u.width + i] * scale * $weight[i];
  }
}
