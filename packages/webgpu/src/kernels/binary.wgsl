// binary: one thread for each element of out[d0, d1, d2]. An index into an axis of length 1 is always 0.
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
  let a = $a[broadcast(item, vec3u(u.a0, u.a1, u.a2))];
#if LITERAL
  let b = u.value;
#else
  let b = $b[broadcast(item, vec3u(u.b0, u.b1, u.b2))];
#endif
#if KIND == add
  $out[item] = a + b;
#endif
#if KIND == sub
  $out[item] = a - b;
#endif
#if KIND == mul
  $out[item] = a * b;
#endif
#if KIND == div
  $out[item] = a / b;
#endif
#if KIND == max
  $out[item] = max(a, b);
#endif
#if KIND == min
  $out[item] = min(a, b);
#endif
#if KIND == lt
  $out[item] = select(0.0, 1.0, a < b);
#endif
#if KIND == le
  $out[item] = select(0.0, 1.0, a <= b);
#endif
#if KIND == gt
  $out[item] = select(0.0, 1.0, a > b);
#endif
#if KIND == ge
  $out[item] = select(0.0, 1.0, a >= b);
#endif
#if KIND == eq
  $out[item] = select(0.0, 1.0, a == b);
#endif
#if KIND == and
  $out[item] = select(0.0, 1.0, a != 0.0 && b != 0.0);
#endif
#if KIND == or
  $out[item] = select(0.0, 1.0, a != 0.0 || b != 0.0);
#endif
}
