struct Uniforms {
  qkv_at: u32,
  keys_at: u32,
  values_at: u32,
  cells_at: u32,
  offset_at: u32,
  length_at: u32,
  seen_at: u32,
  ended_at: u32,
  sequences: u32,
  tokens: u32,
  query_heads: u32,
  kv_heads: u32,
  head_size: u32,
  arena_rows: u32,
  planes: u32,
  words: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<f32>;
@group(0) @binding(2) var<storage, read_write> keys_data: array<u32>;
@group(0) @binding(3) var<storage, read_write> values_data: array<u32>;
@group(0) @binding(4) var<storage, read_write> cells_data: array<u32>;
@group(0) @binding(5) var<storage, read> offset_data: array<u32>;
// append: one thread for each word of a new row (head, token, word). It writes that word of the key, of the value and
// of the cells. 16-bit rows hold two numbers a word, so their size is even.
// The number of a thread in a grid whose workgroups are in rows of at most 65535.
fn item_of(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.y * groups.x + group.x) * 256u + local;
}

// 16-bit floats, two to a word, the even one in the low half. Rounding is to nearest, ties to even; numbers beyond the
// range of f16 become infinity.
fn f16_pair(word: u32) -> vec2f {
  return unpack2x16float(word);
}

fn bf16_pair(word: u32) -> vec2f {
  return vec2f(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

fn f16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if size > 0x7f800000u {
    return 0x7e00u;
  }
  if size >= 0x47800000u {
    return sign | 0x7c00u;
  }
  if size < 0x38800000u {
    return sign | u32(round(bitcast<f32>(size) * 16777216.0));
  }
  return sign | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u);
}

fn bf16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if (bits & 0x7fffffffu) > 0x7f800000u {
    return (bits >> 16u) | 0x40u;
  }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

fn f16_word(pair: vec2f) -> u32 {
  return f16_bits(pair.x) | (f16_bits(pair.y) << 16u);
}

fn bf16_word(pair: vec2f) -> u32 {
  return bf16_bits(pair.x) | (bf16_bits(pair.y) << 16u);
}

fn packed(at: u32, word: u32) -> u32 {
  let pair = vec2f(qkv_data[u.qkv_at + at + 2u * word], qkv_data[u.qkv_at + at + 2u * word + 1u]);
  return bf16_word(pair);
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
  if offset_data[u.ended_at + sequence] != 0u {
    return;
  }
  let length = offset_data[u.length_at + head];
  let row = offset_data[u.offset_at + head] + length + token;
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let base = ((sequence * u.tokens + token) * row_heads + u.query_heads + head % u.kv_heads) * u.head_size;
  keys_data[u.keys_at + row * u.words + word] = packed(base, word);
  values_data[u.values_at + row * u.words + word] = packed(base + u.kv_heads * u.head_size, word);
  for (var plane = word; plane < u.planes; plane += u.words) {
    var cell = 0u;
    if plane == 0u {
      cell = offset_data[u.seen_at + head] + token;
    }
    if plane == 1u {
      cell = length + token;
    }
    cells_data[u.cells_at + plane * u.arena_rows + row] = cell;
  }
}
