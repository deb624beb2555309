// One result of a product, plus bias and residual. Row o of this dispatch's weights is row u.first_out + o of the
// matrix.
fn store_one(row: u32, o: u32, product: f32) {
  if o >= u.outs {
    return;
  }
  let at = row * u.stride + u.first_out + o;
  var sum = product;
#if BIAS
  sum += $bias[u.first_out + o];
#endif
#if RESIDUAL
  sum += $residual[at];
#endif
  $out[at] = sum;
}
