// embed: one thread for each number of out[tokens, width]. An id outside the table reads row 0. If the table is split
// into parts, a dispatch has the `count` rows from `first` on and writes only the tokens whose ids are among them.
#include grid
#include weight
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item >= u.tokens * u.width {
    return;
  }
  let id = $ids[item / u.width];
  let row = select(0u, u32(id), id >= 0i && id < i32(u.vocabulary));
  if row < u.first || row >= u.first + u.count {
    return;
  }
  $out[item] = u.scale * weight_element(row - u.first, item % u.width);
}
