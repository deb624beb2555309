// append: one thread for each word of a new row (head, token, word). It writes that word of the key, of the value and
// of the cells. 16-bit rows hold two numbers a word, so their size is even.
#include grid
#include half
fn packed(at: u32, word: u32) -> u32 {
#if KV == f32
  return bitcast<u32>($qkv[at + word]);
#else
  let pair = vec2f($qkv[at + 2u * word], $qkv[at + 2u * word + 1u]);
#if KV == f16
  return f16_word(pair);
#else
  return bf16_word(pair);
#endif
#endif
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  let heads = u.sequences * u.kv_heads;
  if item >= heads * u.tokens * u.words {
    return;
  }
  let word = item % u.words;
  let token = item / u.words % u.tokens;
  let head = item / u.words / u.tokens;
  let sequence = head / u.kv_heads;
  if $ended[sequence] != 0u {
    return;
  }
  let length = $length[head];
  let row = $offset[head] + length + token;
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let base = ((sequence * u.tokens + token) * row_heads + u.query_heads + head % u.kv_heads) * u.head_size;
#if KEYS
  $keys[row * u.words + word] = packed(base, word);
#endif
#if VALUES
  $values[row * u.words + word] = packed(base + u.kv_heads * u.head_size, word);
#endif
#if CELLS
  for (var plane = word; plane < u.planes; plane += u.words) {
    var cell = 0u;
    if plane == 0u {
      cell = $seen[head] + token;
    }
#if RANKS
    if plane == 1u {
      cell = length + token;
    }
#endif
    $cells[plane * u.arena_rows + row] = cell;
  }
#endif
}
