// observe: attention's weights of the watched queries, from its log-sum-exp. A thread for each (query head, row), which
// walks the queries and writes their weights beside each other.
#if SLOT
#include rotation keys
#else
#include quad keys
#endif
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.y + group.z * 65535u + u.first_head;
  if head >= u.sequences * u.query_heads {
    return;
  }
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let row = group.x * 64u + local;
  let length = u32($length[kv_head]);
  if $ended[sequence] != 0i || row >= length + u.tokens {
    return;
  }
  let at = u32($offset[kv_head]) + row;
#if SLOT
  let position = bitcast<i32>($cells[u.arena_rows + at]);
#endif
  for (var i = u.watched; i < u.tokens; i++) {
    var weight = 0.0;
    if row <= length + i {
      let query = ((sequence * u.tokens + i) * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads) * u.size;
      var x = 0.0;
#if SLOT
      for (var j = 0u; j < u.size; j++) {
        x += $qkv[query + j] * keys_turned(at, j, position);
      }
#else
      for (var q = 0u; q < QUADS; q++) {
        let k = keys_quad(at, q);
        for (var c = 0u; c < 4u; c++) {
          if 4u * q + c < u.size {
            x += $qkv[query + 4u * q + c] * k[c];
          }
        }
      }
#endif
      weight = exp(capped(u.scale * x) - $lse[head * u.tokens + i]);
    }
    $observed[(head * u.capacity + row) * u.queries + u.first + i - u.watched] = weight;
  }
}

fn capped(x: f32) -> f32 {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, -15.0, 15.0));
  }
  return x;
}
