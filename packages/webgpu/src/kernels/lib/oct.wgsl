// Eight numbers of a row of ROWS, from number 8 n on; zeros past its end. ROWS_raw is the load alone, so that a kernel
// can issue several before it uses them. The kernel declares struct Oct { a: vec4f, b: vec4f }. WIDE: rows are whole
// octs, each of which is one load of 16-bit numbers or two of 32-bit ones.
#include half
#if WIDE
#if KV == f32
fn ROWS_raw(row: u32, n: u32) -> array<vec4<u32>, 2> {
  let at = (row * OCTS + min(n, OCTS - 1u)) * 2u;
  return array<vec4<u32>, 2>($ROWS[at], $ROWS[at + 1u]);
}
fn ROWS_oct(bits: array<vec4<u32>, 2>) -> Oct {
  return Oct(bitcast<vec4f>(bits[0]), bitcast<vec4f>(bits[1]));
}
#else
fn ROWS_raw(row: u32, n: u32) -> vec4<u32> {
  return $ROWS[row * OCTS + min(n, OCTS - 1u)];
}
fn ROWS_oct(bits: vec4<u32>) -> Oct {
#if KV == f16
  return Oct(vec4f(f16_pair(bits.x), f16_pair(bits.y)), vec4f(f16_pair(bits.z), f16_pair(bits.w)));
#else
  return Oct(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
#endif
}
#endif
#else
#include element ROWS
fn ROWS_raw(row: u32, n: u32) -> Oct {
  var numbers = Oct();
  for (var c = 0u; c < 4u; c++) {
    if 8u * n + c < u.size {
      numbers.a[c] = ROWS_element(row, 8u * n + c);
    }
    if 8u * n + 4u + c < u.size {
      numbers.b[c] = ROWS_element(row, 8u * n + 4u + c);
    }
  }
  return numbers;
}
fn ROWS_oct(numbers: Oct) -> Oct {
  return numbers;
}
#endif
