// A logit as sampling uses it, of the sequence whose logits start at `row`.
var<private> row: u32;
var<private> penalty: f32;

fn logit(id: u32) -> f32 {
  var x = $logits[row + id];
#if HISTORY
  if $history[row + id] > 0i {
    x = select(x * penalty, x / penalty, x > 0.0);
  }
#endif
  if is_nan(x) {
    return -infinity();
  }
  return x;
}
