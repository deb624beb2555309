// A tile of products left x right, both stored as rows of quads. SIDE x SIDE threads have 4 x 4 results each: rows 4 ty
// + r of left by rows tx + SIDE c of right. Sixteen columns are staged at a time; the stride of 5 quads keeps the reads
// of neighbouring threads in different banks.
const STRIDE = 5u;
const TILE = 4u * SIDE;
const THREADS = SIDE * SIDE;
const RIGHT = TILE * STRIDE;
var<workgroup> staged: array<vec4f, 2u * TILE * STRIDE>;

// Adds the products of the staged columns to lane c of sums[r].
fn multiply_staged(sums: ptr<function, array<vec4f, 4>>, tx: u32, ty: u32) {
  for (var q = 0u; q < 4u; q++) {
    let b0 = staged[RIGHT + tx * STRIDE + q];
    let b1 = staged[RIGHT + (tx + SIDE) * STRIDE + q];
    let b2 = staged[RIGHT + (tx + 2u * SIDE) * STRIDE + q];
    let b3 = staged[RIGHT + (tx + 3u * SIDE) * STRIDE + q];
    for (var r = 0u; r < 4u; r++) {
      let a = staged[(4u * ty + r) * STRIDE + q];
      (*sums)[r] += vec4f(dot(a, b0), dot(a, b1), dot(a, b2), dot(a, b3));
    }
  }
}
