// Four numbers of a row of ROWS, from number 4 q on; zeros past its end. WIDE: rows are whole quads, one load each.
#include half
#if WIDE
fn ROWS_quad(row: u32, q: u32) -> vec4f {
  let bits = $ROWS[row * (u.size / 4u) + q];
#if KV == f32
  return bitcast<vec4f>(bits);
#else
#if KV == f16
  return vec4f(f16_pair(bits.x), f16_pair(bits.y));
#else
  return vec4f(bf16_pair(bits.x), bf16_pair(bits.y));
#endif
#endif
}
#else
#include element ROWS
fn ROWS_quad(row: u32, q: u32) -> vec4f {
  var quad = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if 4u * q + c < u.size {
      quad[c] = ROWS_element(row, 4u * q + c);
    }
  }
  return quad;
}
#endif
