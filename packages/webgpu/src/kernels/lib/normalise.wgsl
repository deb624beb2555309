// Normalises a row of x (rmsNorm) and converts it to bytes. Every thread must call. `store`: whether the normalised row is
// stored as well.
fn normalise(row: u32, local: u32, store: bool) {
  let start = row * (u.width / 4u);
  var squares = 0.0;
  for (var i = local; i < u.width / 4u; i += THREADS) {
    let x = $x[start + i];
    squares += dot(x, x);
  }
  let scale = 1.0 / sqrt(sum_over_threads(squares, local) / f32(u.width) + u.epsilon);
  for (var block = local; block < u.width / 32u; block += THREADS) {
#repeat q 8
    let x{q} = $x[start + 8u * block + {q}u] * scale * $norm[8u * block + {q}u];
#end
    if store {
#repeat q 8
      $normed[start + 8u * block + {q}u] = x{q};
#end
    }
    quantise(start / 8u + block, array<vec4f, 8>(x0, x1, x2, x3, x4, x5, x6, x7));
  }
}
