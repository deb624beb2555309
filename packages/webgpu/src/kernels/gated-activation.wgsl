// gatedActivation: one thread for each number of out[rows, width].
#include grid
#include gate
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item >= u.rows * u.width {
    return;
  }
  let at = item / u.width * 2u * u.width + item % u.width;
  $out[item] = gate_of($x[at]) * $x[at + u.width];
}
