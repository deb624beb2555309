// linear: many rows on a subgroup's matrix units. A workgroup of DOWN x ACROSS subgroups computes a tile of ROWS x OUTS
// results, and a subgroup TALL x BROAD matrices of 16 x 16 of it, summed in f32. Sixteen STEPS columns of x and of
// weights are staged at a time, as f16, while the next ones are loaded. A staged row is padded by 16 bytes, so that
// neighbours are in different banks. There is one staged place and not two in turn: less workgroup memory lets more
// workgroups run side by side, which hide each other's barriers.
//
// HALF: x and weights are f16 already, from linear-half.wgsl. Otherwise they are converted as they are staged, and x is
// bounded to the range of f16. The width is a multiple of 32. Results go through workgroup memory, 16 rows at a time,
// so that edges, bias and residual need no other code.
#include weight-quad
const THREADS = 32u * DOWN * ACROSS;
const ROWS = 16u * TALL * DOWN;
const OUTS = 16u * BROAD * ACROSS;
const PIECES = 2u * STEPS;
const STRIDE = PIECES + 1u;
// Sixteen rows of a subgroup's results take 16 LINE quads.
const LINE = 4u * BROAD + 1u;
// Rows of x, then rows of weights.
var<workgroup> staged: array<vec4<u32>, max((ROWS + OUTS) * STRIDE, DOWN * ACROSS * 16u * LINE)>;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

fn x_piece(row: u32, piece: u32) -> vec4<u32> {
  let line = min(row, u.rows - 1u);
#if HALF
  return $x[line * (u.width / 8u) + piece];
#else
  let at = line * (u.width / 4u) + 2u * piece;
  return packed(bounded($x[at]), bounded($x[at + 1u]));
#endif
}

fn weight_piece(row: u32, piece: u32) -> vec4<u32> {
  let line = min(row, u.outs - 1u);
#if HALF
  return $weight[line * (u.width / 8u) + piece];
#else
#if WEIGHT == f16
  return $weight[line * (u.width / 8u) + piece];
#else
#if WEIGHT == bf16
  let bits = $weight[line * (u.width / 8u) + piece];
  return packed(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
#else
  return packed(weight_quad(line, 2u * piece), weight_quad(line, 2u * piece + 1u));
#endif
#endif
#endif
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  // Tiles of the same weights are neighbours, so that weights are read from memory once.
  let first_row = group.x * ROWS;
  let first_out = (group.y + u.first_tile) * OUTS;
  // The first row and column of this subgroup's results.
  let down = subgroup / ACROSS * 16u * TALL;
  let across = subgroup % ACROSS * 16u * BROAD;
#repeat i TALL
#repeat j BROAD
  var sum{i}_{j} = subgroup_matrix_result<f32, 16, 16>();
#end
#end
#repeat p X_LOADS
  let x_line{p} = (local + THREADS * {p}u) / PIECES;
  let x_at{p} = (local + THREADS * {p}u) % PIECES;
  var next_x{p} = x_piece(first_row + x_line{p}, x_at{p});
#end
#repeat p WEIGHT_LOADS
  let line{p} = (local + THREADS * {p}u) / PIECES;
  let at{p} = (local + THREADS * {p}u) % PIECES;
  var next_weights{p} = weight_piece(first_out + line{p}, at{p});
#end
  let pieces = u.width / 8u;
  for (var piece = 0u; piece < pieces; piece += PIECES) {
    workgroupBarrier();
#repeat p X_LOADS
    staged[x_line{p} * STRIDE + x_at{p}] = next_x{p};
#end
#repeat p WEIGHT_LOADS
    staged[(ROWS + line{p}) * STRIDE + at{p}] = next_weights{p};
#end
    workgroupBarrier();
    let next = min(piece + PIECES, pieces - PIECES);
#repeat p X_LOADS
    next_x{p} = x_piece(first_row + x_line{p}, next + x_at{p});
#end
#repeat p WEIGHT_LOADS
    next_weights{p} = weight_piece(first_out + line{p}, next + at{p});
#end
#repeat k STEPS
    {
#repeat j BROAD
      let right{j} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &staged, (ROWS + across + 16u * {j}u) * STRIDE + 2u * {k}u, STRIDE);
#end
#repeat i TALL
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
          &staged, (down + 16u * {i}u) * STRIDE + 2u * {k}u, STRIDE);
#repeat j BROAD
        sum{i}_{j} = subgroupMatrixMultiplyAccumulate(left, right{j}, sum{i}_{j});
#end
      }
#end
    }
#end
  }
  let results = subgroup * 16u * LINE;
#repeat i TALL
  workgroupBarrier();
#repeat j BROAD
  subgroupMatrixStore<row_major>(&staged, results + 4u * {j}u, sum{i}_{j}, LINE);
#end
  workgroupBarrier();
  for (var n = lane; n < 256u * BROAD; n += 32u) {
    let r = n / (16u * BROAD);
    let c = n % (16u * BROAD);
    let row = first_row + down + 16u * {i}u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(staged[results + r * LINE + c / 4u][c % 4u]));
    }
  }
#end
}
#include store-one
