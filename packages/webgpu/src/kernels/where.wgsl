// where: one thread for each element of out[d0, d1, d2].
#include grid
#include broadcast
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item >= u.d0 * u.d1 * u.d2 {
    return;
  }
#if LITERAL_A
  let a = u.value_a;
#else
  let a = $a[broadcast(item, vec3u(u.a0, u.a1, u.a2))];
#endif
#if LITERAL_B
  let b = u.value_b;
#else
  let b = $b[broadcast(item, vec3u(u.b0, u.b1, u.b2))];
#endif
  $out[item] = select(b, a, $mask[broadcast(item, vec3u(u.m0, u.m1, u.m2))] != 0.0);
}
