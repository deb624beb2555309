// watch: column sums of attention's weights on a subgroup's matrix units. A workgroup keeps 64 HIGH rows of one head in
// registers and visits the tiles of 32 queries that see any of them, in ascending order. The lane that has a row adds
// up its weights, so that the result is the same every time. Logits are in units of log2(e).
//
// A tile takes two phases, separated by barriers: products with the staged queries; then sums, while the next queries
// are staged. Queries are loaded one tile before they are staged.
#include half
#include matrix-rows
// Products; before that the kept rows, 64 at a time.
var<workgroup> scores: array<vec4f, 64u * max(HIGH * SCORES, STRIDE)>;
var<workgroup> tile: array<vec4<u32>, STAGED * STRIDE>;
var<workgroup> lse_tiles: array<vec4f, 16>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  let subgroup_row = subgroup * OWNED;
  let own = subgroup_row + lane % OWNED;
  let part = lane / OWNED;
  let head = group.y + u.first_head;
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let first_row = group.x * 64u * HIGH;
  let length = u32($length[kv_head]);
  let rows = length + u.tokens;
  if $ended[sequence] != 0i || first_row >= rows {
    return;
  }
  let start = u32($offset[kv_head]);
  let row = first_row + own;
#repeat i HIGH
  workgroupBarrier();
  for (var n = local; n < 64u * OCTS; n += THREADS) {
    let line = n / OCTS;
    let origin = first_row + line / 16u * OWNED + 16u * {i}u + line % 16u;
    let piece = half_piece($keys[(start + min(origin, rows - 1u)) * OCTS + n % OCTS]);
    scores[line * STRIDE + n % OCTS] = bitcast<vec4f>(piece);
  }
  workgroupBarrier();
#repeat h HALVES
#repeat e 2
  let keys{i}_{h}_{e} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &scores, subgroup * 16u * STRIDE + 4u * {h}u + 2u * {e}u, STRIDE);
#end
#end
#end
  // The first query that counts and sees the row.
  let earliest = max(u.first, max(row, length) - length);
  // All rows count all queries from this one on, up to u.tokens.
  let all_from = max(u.first, max(first_row + 64u * HIGH - 1u, length) - length);
  let first_tile = max(u.first, max(first_row, length) - length) / STAGED * STAGED;
#repeat p PIECES
  let line{p} = (local + THREADS * {p}u) / OCTS;
  let piece{p} = (local + THREADS * {p}u) % OCTS;
  var at{p} = query_at(sequence, head % u.query_heads, row_heads, first_tile + line{p}, piece{p});
  var low{p} = $qkv[at{p}];
  var high{p} = $qkv[at{p} + 1u];
#end
  var next_lse = $lse[head * u.tokens + min(first_tile + lane, u.tokens - 1u)] * LOG2E;
  workgroupBarrier();
#repeat p PIECES
  tile[line{p} * STRIDE + piece{p}] = query_piece(low{p}, high{p});
#end
  var mass = 0.0;
  for (var first = first_tile; first < u.tokens; first += STAGED) {
    let lse_at = first / STAGED % 2u * 8u;
    if local < 32u {
      lse_tiles[lse_at + local / 4u][local % 4u] = next_lse;
    }
    workgroupBarrier();
#repeat p PIECES
    at{p} = query_at(sequence, head % u.query_heads, row_heads, first + STAGED + line{p}, piece{p});
    low{p} = $qkv[at{p}];
    high{p} = $qkv[at{p} + 1u];
#end
    next_lse = $lse[head * u.tokens + min(first + STAGED + lane, u.tokens - 1u)] * LOG2E;
    {
      // Sums of different queries take turns, so that a product need not wait for the one before it.
#repeat k BLOCKS
#repeat i HIGH
      var logits{i}_{k} = subgroup_matrix_result<f32, 16, 16>();
#end
#end
#repeat h HALVES
#repeat e 2
#repeat k BLOCKS
      let queries{h}_{e}_{k} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tile, 16u * {k}u * STRIDE + 4u * {h}u + 2u * {e}u, STRIDE);
#repeat i HIGH
      logits{i}_{k} = subgroupMatrixMultiplyAccumulate(keys{i}_{h}_{e}, queries{h}_{e}_{k}, logits{i}_{k});
#end
#end
#end
#end
#repeat k BLOCKS
#repeat i HIGH
      subgroupMatrixStore<row_major>(
        &scores, (subgroup_row + 16u * {i}u) * SCORES + 4u * {k}u, logits{i}_{k}, SCORES);
#end
#end
    }
    workgroupBarrier();
#repeat p PIECES
    tile[line{p} * STRIDE + piece{p}] = query_piece(low{p}, high{p});
#end
    let all = first >= all_from && first + STAGED <= u.tokens;
#repeat n PAIRS
#repeat e 2
    {
      let quad = 2u * (part * PAIRS + {n}u) + {e}u;
      let weight = exp2(capped(scores[own * SCORES + quad]) - lse_tiles[lse_at + quad]);
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let counted = vec4<bool>(all) | ((query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += dot(select(vec4f(), weight, counted), vec4f(1.0));
    }
#end
#end
  }
#if HIGH == 1
  mass += subgroupShuffleXor(mass, 16u);
#endif
  if part == 0u && row < rows {
    $mass[head * u.capacity + row] += mass;
  }
}

// Where eight numbers of a query start, in quads.
fn query_at(sequence: u32, head: u32, row_heads: u32, query: u32, piece: u32) -> u32 {
  return (((sequence * u.tokens + min(query, u.tokens - 1u)) * row_heads + head) * OCTS + piece) * 2u;
}
