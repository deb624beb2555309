// gather: one thread for each word of a chosen row (head, row i < most, word). It copies that word of the key and of
// the value, and the cells. Heads with fewer rows return early. ROTATE rotates the key's numbers to position i.
#include grid
#include half
#if ROTATE
#include rotation keys
#endif
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item >= u.heads * u.most * u.words {
    return;
  }
  let word = item % u.words;
  let i = item / u.words % u.most;
  let head = item / u.words / u.most;
  let count = $count[head];
  if i == 0u && word == 0u {
    $targetLength[head] = count;
  }
  if i >= count {
    return;
  }
  let row = $offset[head] + $rows[head * u.most + i];
  let to = $targetOffset[head] + i;
#if ROTATE
#if KV == f32
  $targetKeys[to * u.words + word] = bitcast<u32>(keys_turned(row, word, i32(i)));
#else
  let pair = vec2f(keys_turned(row, 2u * word, i32(i)), keys_turned(row, 2u * word + 1u, i32(i)));
#if KV == f16
  $targetKeys[to * u.words + word] = f16_word(pair);
#else
  $targetKeys[to * u.words + word] = bf16_word(pair);
#endif
#endif
#else
  $targetKeys[to * u.words + word] = $keys[row * u.words + word];
#endif
#if VALUES
  $targetValues[to * u.words + word] = $values[row * u.words + word];
  for (var plane = word; plane < u.planes; plane += u.words) {
    var cell = $cells[plane * u.arena_rows + row];
#if RANKS
    if plane == 1u {
      cell = i;
    }
#endif
    $targetCells[plane * u.target_rows + to] = cell;
  }
#endif
}
