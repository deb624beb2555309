// rope and append of one new token a sequence in one dispatch, if keys are rotated whole. A thread has the numbers 2 n
// and 2 n + 1, and those half a head further on, of a query, key or value head. It stores rotated numbers back in qkv,
// and appends keys and values, with the cells of the row.
#include half
fn packed(pair: vec2f) -> u32 {
#if KV == f16
  return f16_word(pair);
#else
  return bf16_word(pair);
#endif
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let quarter = u.head_size / 4u;
  let row_heads = u.query_heads + 2u * u.kv_heads;
  if thread.x >= u.sequences * row_heads * quarter {
    return;
  }
  let n = thread.x % quarter;
  let head = thread.x / quarter % row_heads;
  let sequence = thread.x / quarter / row_heads;
  let half = u.head_size / 2u;
  let at = (sequence * row_heads + head) * u.head_size + 2u * n;
  var low = vec2f($qkv[at], $qkv[at + 1u]);
  var high = vec2f($qkv[at + half], $qkv[at + half + 1u]);
  let is_key = head >= u.query_heads && head < u.query_heads + u.kv_heads;
  if head < u.query_heads + u.kv_heads {
    let kv_head = select(head - u.query_heads, head / (u.query_heads / u.kv_heads), head < u.query_heads);
    let position = bitcast<i32>($base[sequence * u.kv_heads + kv_head]);
    let angle = u32(clamp(position, 0i, i32(u.table_rows) - 1i)) * u.head_size + 2u * n;
    let cosine = vec2f($table[angle], $table[angle + 1u]);
    let sine = vec2f($table[angle + half], $table[angle + half + 1u]);
    let turned = low * cosine - high * sine;
    high = high * cosine + low * sine;
    low = turned;
    $qkv[at] = low.x;
    $qkv[at + 1u] = low.y;
    $qkv[at + half] = high.x;
    $qkv[at + half + 1u] = high.y;
  }
  if head < u.query_heads || $ended[sequence] != 0u {
    return;
  }
  let kv_head = sequence * u.kv_heads + (head - u.query_heads) % u.kv_heads;
  let length = $length[kv_head];
  let row = $offset[kv_head] + length;
#if KV == f32
  let word = row * u.head_size + 2u * n;
  let words = array<u32, 4>(bitcast<u32>(low.x), bitcast<u32>(low.y), bitcast<u32>(high.x), bitcast<u32>(high.y));
#repeat i 4
  if is_key {
    $keys[word + {i}u / 2u * half + {i}u % 2u] = words[{i}];
  } else {
    $values[word + {i}u / 2u * half + {i}u % 2u] = words[{i}];
  }
#end
#else
  let word = row * half + n;
  if is_key {
    $keys[word] = packed(low);
    $keys[word + quarter] = packed(high);
  } else {
    $values[word] = packed(low);
    $values[word + quarter] = packed(high);
  }
#endif
  if is_key {
    for (var plane = n; plane < u.planes; plane += quarter) {
      var cell = 0u;
      if plane == 0u {
        cell = $seen[kv_head];
      }
#if RANKS
      if plane == 1u {
        cell = length;
      }
#endif
      $cells[plane * u.arena_rows + row] = cell;
    }
  }
}
