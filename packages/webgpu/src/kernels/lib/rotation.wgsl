// RoPE of one number of a row of ROWS. Number j pairs with j + rotary / 2; numbers from `rotary` on are not rotated.
// Positions are clamped to the table.
#include element ROWS
fn ROWS_turned(row: u32, j: u32, position: i32) -> f32 {
  let x = ROWS_element(row, j);
  if j >= u.rotary {
    return x;
  }
  let half = u.rotary / 2u;
  let at = u32(clamp(position, 0i, i32(u.table_rows) - 1i)) * u.rotary;
  if j < half {
    return x * $table[at + j] - ROWS_element(row, j + half) * $table[at + half + j];
  }
  return x * $table[at + j - half] + ROWS_element(row, j - half) * $table[at + j];
}
