// store: one thread for each number of x[heads, capacity]. Numbers within the head's length go to its rows.
#include grid
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item >= u.sequences * u.kv_heads * u.capacity {
    return;
  }
  let j = item % u.capacity;
  let head = item / u.capacity;
  if $ended[head / u.kv_heads] == 0i && i32(j) < $length[head] {
    $target[u32($offset[head]) + j] = $x[item];
  }
}
