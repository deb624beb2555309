// Four weights of a row, from column 4 q on. WIDE: rows are whole quads, each loaded as one or two words, or as four if
// they are f32.
#include half
#if WIDE
fn weight_quad(row: u32, q: u32) -> vec4f {
  let index = row * (u.width / 4u) + q;
#if WEIGHT == f32
  return bitcast<vec4f>($weight[index]);
#endif
#if WEIGHT == f16
  let pairs = $weight[index];
  return vec4f(f16_pair(pairs.x), f16_pair(pairs.y));
#endif
#if WEIGHT == bf16
  let pairs = $weight[index];
  return vec4f(bf16_pair(pairs.x), bf16_pair(pairs.y));
#endif
#if QUANTISED
  let block = index / 8u;
  let scale = f16_pair($scales[block / 2u])[block & 1u];
#if WEIGHT == q8_0
  let word = $weight[index];
  return scale * vec4f(vec4i(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u)));
#else
  let word = $weight[block * 4u + (index & 3u)] >> (index & 4u);
  let quants = vec4f((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(15u));
#if WEIGHT == q4_0
  return scale * (quants - 8.0);
#else
  return scale * quants + f16_pair($minimums[block / 2u])[block & 1u];
#endif
#endif
#endif
}
#else
#include weight
fn weight_quad(row: u32, q: u32) -> vec4f {
  var quad = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if 4u * q + c < u.width {
      quad[c] = weight_element(row, 4u * q + c);
    }
  }
  return quad;
}
#endif
