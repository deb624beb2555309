// One weight of a matrix of u.width columns as an f32. Matrices are f32, pairs of 16-bit floats, or the planes of a
// quantised matrix with blocks of 32 along the columns.
#include half
fn weight_element(row: u32, column: u32) -> f32 {
  let index = row * u.width + column;
#if WEIGHT == f32
  return bitcast<f32>($weight[index]);
#endif
#if WEIGHT == f16
  return f16_pair($weight[index / 2u])[index & 1u];
#endif
#if WEIGHT == bf16
  return bf16_pair($weight[index / 2u])[index & 1u];
#endif
#if QUANTISED
  let block = index / 32u;
  let scale = f16_pair($scales[block / 2u])[block & 1u];
#if WEIGHT == q8_0
  let word = $weight[index / 4u];
  return scale * f32(bitcast<i32>(word << (24u - 8u * (index & 3u))) >> 24u);
#else
  // Byte j of a block has number j in its low and number j + 16 in its high half.
  let j = index & 15u;
  let word = $weight[block * 4u + j / 4u];
  let quant = f32((word >> (8u * (j & 3u) + (index & 16u) / 4u)) & 15u);
#if WEIGHT == q4_0
  return scale * (quant - 8.0);
#else
  return scale * quant + f16_pair($minimums[block / 2u])[block & 1u];
#endif
#endif
#endif
}
