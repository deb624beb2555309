// rope: one thread for each pair of numbers that is rotated, in place in qkv: (token row, head, j < rotary / 2).
#include grid
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  let half = u.rotary / 2u;
  if item >= u.sequences * u.tokens * u.turned * half {
    return;
  }
  let j = item % half;
  let head = item / half % u.turned;
  let row = item / half / u.turned;
  let kv_head = select(head - u.query_heads, head / (u.query_heads / u.kv_heads), head < u.query_heads);
  let position = $base[row / u.tokens * u.kv_heads + kv_head] + i32(row % u.tokens);
  let angle = u32(clamp(position, 0i, i32(u.table_rows) - 1i)) * u.rotary + j;
  let cosine = $table[angle];
  let sine = $table[angle + half];
  let at = (row * (u.query_heads + 2u * u.kv_heads) + head) * u.head_size + j;
  let a = $qkv[at];
  let b = $qkv[at + half];
  $qkv[at] = a * cosine - b * sine;
  $qkv[at + half] = b * cosine + a * sine;
}
