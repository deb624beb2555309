// unary: one thread for each element.
#include grid
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item >= u.elements {
    return;
  }
  let x = $x[item];
#if KIND == neg
  $out[item] = -x;
#endif
#if KIND == abs
  $out[item] = abs(x);
#endif
#if KIND == exp
  $out[item] = exp(x);
#endif
#if KIND == log
  $out[item] = log(x);
#endif
#if KIND == sqrt
  $out[item] = sqrt(x);
#endif
#if KIND == not
  $out[item] = select(0.0, 1.0, x == 0.0);
#endif
#if KIND == float
  $out[item] = f32(x);
#endif
}
