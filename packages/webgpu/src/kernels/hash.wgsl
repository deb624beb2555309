// hash: one thread for each number of out[heads, capacity].
#include grid
#include random
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item < u.heads * u.capacity {
    $out[item] = uniform_of(u.seed + item / u.capacity % u.kv_heads, u32($positions[item]));
  }
}
