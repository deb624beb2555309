// The activation of a gate. Arguments of exp are bounded to a range beyond which the result no longer changes.
fn gate_of(a: f32) -> f32 {
#if KIND == silu
  return a / (1.0 + exp(min(-a, 80.0)));
#else
  // (1 + tanh(y)) / 2 = 1 / (1 + exp(-2 y)), which has no cancellation.
  return a / (1.0 + exp(min(-1.5957691216 * (a + 0.044715 * a * a * a), 80.0)));
#endif
}
