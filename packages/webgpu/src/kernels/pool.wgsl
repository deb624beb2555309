// pool: a thread for each number of out[heads, capacity, size], over its kernel of neighbours within the head's length.
#include grid
#include infinity
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
  let row = item / u.size;
  let head = row / u.capacity;
  let j = row % u.capacity;
  let reach = (u.kernel - 1u) / 2u;
  let length = min(u32(max($length[head / u.share], 0i)), u.capacity);
  var pooled = 0.0;
  if j < length {
#if KIND == max
    pooled = -infinity();
#endif
    for (var n = max(j, reach) - reach; n < min(length, j + reach + 1u); n++) {
      let x = $x[(head * u.capacity + n) * u.size + item % u.size];
#if KIND == max
      pooled = max(pooled, x);
#else
      pooled += x;
#endif
    }
#if KIND == avg
    pooled /= f32(u.kernel);
#endif
  }
  $out[item] = pooled;
}
