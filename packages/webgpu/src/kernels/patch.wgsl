// The incomplete last word of a write: the bytes of `mask` become those of `value`. This is no op of the catalogue; the
// backend uses it in `write`.
@compute @workgroup_size(1)
fn main() {
  $out[0] = ($out[0] & ~u.mask) | u.value;
}
