// One result of a product, with what is added to it. Row o of the weights at hand is row u.first_out + o of them all.
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
