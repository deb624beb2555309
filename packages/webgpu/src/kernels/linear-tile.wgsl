// linear: many rows. A workgroup computes a tile of 4 ROW_QUADS DOWN rows and 4 OUT_QUADS ACROSS columns; thread (tx,
// ty) has quads ty + DOWN i of its rows and quads tx + ACROSS j of its columns. Sixteen numbers of every row of x and
// of weights are staged at a time, transposed, so that a quad of rows is one load. Weights are converted to f32 as they
// are staged.
#include weight-quad
const THREADS = ACROSS * DOWN;
const ROWS = ROW_QUADS * DOWN;
const OUTS = OUT_QUADS * ACROSS;
var<workgroup> staged_x: array<vec4f, 16u * ROWS>;
var<workgroup> staged_weights: array<vec4f, 16u * OUTS>;

fn x_quad(row: u32, q: u32) -> vec4f {
  if row >= u.rows || 4u * q >= u.width {
    return vec4f();
  }
#if WIDE
  return $x[row * (u.width / 4u) + q];
#else
  var quad = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if 4u * q + c < u.width {
      quad[c] = $x[row * u.width + 4u * q + c];
    }
  }
  return quad;
#endif
}

fn w_quad(row: u32, q: u32) -> vec4f {
  if row >= u.outs || 4u * q >= u.width {
    return vec4f();
  }
  return weight_quad(row, q);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tx = local % ACROSS;
  let ty = local / ACROSS;
  let first_out = group.x * 4u * OUTS;
  let first_row = (group.y + u.first_tile) * 4u * ROWS;
#repeat i ROW_QUADS
#repeat r 4
#repeat j OUT_QUADS
  var sum{i}_{r}_{j} = vec4f();
#end
#end
#end
  for (var q = 0u; 4u * q < u.width; q += 4u) {
    workgroupBarrier();
    for (var i = local; i < 4u * ROWS; i += THREADS) {
      let row = first_row + i % ROWS * 4u;
      let column = i / ROWS;
      let quads = transpose(mat4x4f(
        x_quad(row, q + column),
        x_quad(row + 1u, q + column),
        x_quad(row + 2u, q + column),
        x_quad(row + 3u, q + column),
      ));
#repeat c 4
      staged_x[(4u * column + {c}u) * ROWS + i % ROWS] = quads[{c}];
#end
    }
    for (var i = local; i < 4u * OUTS; i += THREADS) {
      let row = first_out + i % OUTS * 4u;
      let column = i / OUTS;
      let quads = transpose(mat4x4f(
        w_quad(row, q + column),
        w_quad(row + 1u, q + column),
        w_quad(row + 2u, q + column),
        w_quad(row + 3u, q + column),
      ));
#repeat c 4
      staged_weights[(4u * column + {c}u) * OUTS + i % OUTS] = quads[{c}];
#end
    }
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
#repeat i ROW_QUADS
      let a{i} = staged_x[k * ROWS + ty + {i}u * DOWN];
#end
#repeat j OUT_QUADS
      let b{j} = staged_weights[k * OUTS + tx + {j}u * ACROSS];
#end
#repeat i ROW_QUADS
#repeat r 4
#repeat j OUT_QUADS
      sum{i}_{r}_{j} = fma(vec4f(a{i}[{r}]), b{j}, sum{i}_{r}_{j});
#end
#end
#end
    }
  }
#repeat i ROW_QUADS
#repeat r 4
#repeat j OUT_QUADS
  store(first_row + 4u * (ty + {i}u * DOWN) + {r}u, first_out + 4u * (tx + {j}u * ACROSS), sum{i}_{r}_{j});
#end
#end
#end
}

fn store(row: u32, first: u32, sums: vec4f) {
  if row >= u.rows {
    return;
  }
#repeat c 4
  store_one(row, first + {c}u, sums[{c}]);
#end
}
#include store-one
