// linear: many rows on a subgroup's matrix units. A workgroup of four subgroups makes a tile of 32 TILES x 32 TILES results, each subgroup a quarter of it: TILES x
// TILES matrices of 16 x 16, summed in f32. Of x and of weights 32 columns are staged at a time, as f16, while the next ones are on their way; a row
// is padded by 16 bytes, so that neighbouring rows lie in different banks. x is bounded by what f16 holds.
//
// The width is a multiple of 32. Results go through shared memory, 16 rows at a time, so that edges, bias and residual need no code of their own.
#include weight-quad
const THREADS = 128u;
const SIDE = 32u * TILES;
const STRIDE = 5u;
const LINE = 4u * TILES + 1u;
var<workgroup> staged_x: array<vec4<u32>, SIDE * STRIDE>;
var<workgroup> staged_weights: array<vec4<u32>, SIDE * STRIDE>;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

fn x_piece(row: u32, piece: u32) -> vec4<u32> {
  let at = min(row, u.rows - 1u) * (u.width / 4u) + 2u * piece;
  return packed(bounded($x[at]), bounded($x[at + 1u]));
}

fn weight_piece(row: u32, piece: u32) -> vec4<u32> {
  let line = min(row, u.outs - 1u);
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
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  let first_out = group.x * SIDE;
  let first_row = (group.y + u.first_tile) * SIDE;
  // Where this subgroup's quarter starts.
  let down = subgroup / 2u * 16u * TILES;
  let across = subgroup % 2u * 16u * TILES;
#repeat i TILES
#repeat j TILES
  var sum{i}_{j}: subgroup_matrix_result<f32, 16, 16>;
#end
#end
  // Of every 32 rows a thread stages 8 columns of one.
  let line = local / 4u;
  let piece = local % 4u;
#repeat p TILES
  var next_x{p} = x_piece(first_row + line + 32u * {p}u, piece);
  var next_weights{p} = weight_piece(first_out + line + 32u * {p}u, piece);
#end
  let pieces = u.width / 8u;
  for (var at = 0u; at < pieces; at += 4u) {
    workgroupBarrier();
#repeat p TILES
    staged_x[(line + 32u * {p}u) * STRIDE + piece] = next_x{p};
    staged_weights[(line + 32u * {p}u) * STRIDE + piece] = next_weights{p};
#end
    workgroupBarrier();
    let next = min(at + 4u, pieces - 4u) + piece;
#repeat p TILES
    next_x{p} = x_piece(first_row + line + 32u * {p}u, next);
    next_weights{p} = weight_piece(first_out + line + 32u * {p}u, next);
#end
#repeat k 2
    {
#repeat j TILES
      let right{j} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&staged_weights, (across + 16u * {j}u) * STRIDE + 2u * {k}u, STRIDE);
#end
#repeat i TILES
      {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&staged_x, (down + 16u * {i}u) * STRIDE + 2u * {k}u, STRIDE);
#repeat j TILES
        sum{i}_{j} = subgroupMatrixMultiplyAccumulate(left, right{j}, sum{i}_{j});
#end
      }
#end
    }
#end
  }
  // Sixteen rows of a subgroup's results take 16 LINE pieces; two subgroups share an array.
  let place = subgroup / 2u * 16u * LINE;
#repeat i TILES
  workgroupBarrier();
  if subgroup % 2u == 0u {
#repeat j TILES
    subgroupMatrixStore<row_major>(&staged_x, place + 4u * {j}u, sum{i}_{j}, LINE);
#end
  } else {
#repeat j TILES
    subgroupMatrixStore<row_major>(&staged_weights, place + 4u * {j}u, sum{i}_{j}, LINE);
#end
  }
  workgroupBarrier();
  for (var n = lane; n < 256u * TILES; n += 32u) {
    let r = n / (16u * TILES);
    let c = n % (16u * TILES);
    let at = place + r * LINE + c / 4u;
    var bits: u32;
    if subgroup % 2u == 0u {
      bits = staged_x[at][c % 4u];
    } else {
      bits = staged_weights[at][c % 4u];
    }
    let row = first_row + down + 16u * {i}u + r;
    if row < u.rows {
      store_one(row, first_out + across + c, bitcast<f32>(bits));
    }
  }
#end
}
#include store-one
