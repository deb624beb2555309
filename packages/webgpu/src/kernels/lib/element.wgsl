// One number of ROWS, whose rows have u.size numbers of type KV.
#include half
fn ROWS_element(row: u32, j: u32) -> f32 {
  let index = row * u.size + j;
#if KV == f32
  return bitcast<f32>($ROWS[index]);
#else
#if KV == f16
  return f16_pair($ROWS[index / 2u])[index & 1u];
#else
  return bf16_pair($ROWS[index / 2u])[index & 1u];
#endif
#endif
}
