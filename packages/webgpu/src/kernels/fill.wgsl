// fill: one thread for each word. The value is passed as a word, so every float keeps its bits.
#include grid
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item < u.words {
    $out[item] = u.value;
  }
}
