// load: one thread for each number of out[heads, capacity, width]: the row's number, or 0 beyond the head's length.
#include grid
#if SOURCE == i32
#else
#if ROTATE
#include rotation source
#else
#include element source
#endif
#endif
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item >= u.heads * u.capacity * u.size {
    return;
  }
  let i = item % u.size;
  let j = item / u.size % u.capacity;
  let head = item / u.size / u.capacity;
  var x = 0.0;
  if j < u32(max($length[head], 0i)) {
    let row = u32($offset[head]) + j;
#if SOURCE == i32
    x = f32(bitcast<i32>($source[row * u.size + i]));
#else
#if ROTATE
    x = source_turned(row, i, $ranks[row]);
#else
    x = source_element(row, i);
#endif
#endif
  }
  $out[item] = x;
}
