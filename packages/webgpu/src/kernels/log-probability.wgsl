// logProbability: one workgroup for each row of logits. It finds the maximum, then the sum of exponentials relative to
// it, then the logit of the row's id.
#include reduce
#include infinity
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
  var most = -infinity();
  for (var v = local; v < u.vocabulary; v += THREADS) {
    most = max(most, $logits[row * u.vocabulary + v]);
  }
  most = max_over_threads(most, local);
  var sum = 0.0;
  for (var v = local; v < u.vocabulary; v += THREADS) {
    sum += exp($logits[row * u.vocabulary + v] - most);
  }
  sum = sum_over_threads(sum, local);
  if local == 0u {
    let id = $ids[row];
    var result = -infinity();
    if id >= 0i && id < i32(u.vocabulary) {
      result = $logits[row * u.vocabulary + u32(id)] - most - log(sum);
    }
    $out[row] = result;
  }
}
