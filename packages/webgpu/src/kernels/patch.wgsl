// The last, incomplete word of a write: the bytes of `mask` become those of `value`. Not an op; the backend's own.
@compute @workgroup_size(1)
fn main() {
  $out[0] = ($out[0] & ~u.mask) | u.value;
}
