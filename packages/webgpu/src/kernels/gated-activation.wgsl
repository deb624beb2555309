// gatedActivation: a thread for each number of out[rows, width]. Arguments of exp are bounded where the result no longer changes.
#include grid
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let item = item_of(group, groups, local);
  if item >= u.rows * u.width {
    return;
  }
  let at = item / u.width * 2u * u.width + item % u.width;
  let a = $x[at];
#if KIND == silu
  let gate = a / (1.0 + exp(min(-a, 80.0)));
#else
  // (1 + tanh(y)) / 2 = 1 / (1 + exp(-2 y)), which does not cancel.
  let gate = a / (1.0 + exp(min(-1.5957691216 * (a + 0.044715 * a * a * a), 80.0)));
#endif
  $out[item] = gate * $x[at + u.width];
}
