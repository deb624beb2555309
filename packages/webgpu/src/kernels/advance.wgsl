// advance: one thread for each number of counter[repeat, sequences, width].
#include grid
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item < u.repeat * u.sequences * u.width && $ended[item / u.width % u.sequences] == 0i {
    $counter[item] += i32(u.by);
  }
}
