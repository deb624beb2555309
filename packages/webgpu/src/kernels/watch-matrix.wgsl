// watch: column sums of attention's weights on a subgroup's matrix units. A workgroup takes 64 HIGH rows of one head and walks the tiles of 32 queries that see any of
// them, in ascending order; the lane that owns a row adds its weights up, and so the same every time. Rows stay in registers, HIGH x DEPTH matrices.
#include half
#include matrix-rows
var<workgroup> query_tile: array<vec4<u32>, 32u * STRIDE>;
var<workgroup> lse_tile: array<vec4f, 8>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % 32u;
  let subgroup_row = local / 32u * OWNED;
  let own = subgroup_row + lane % OWNED;
  let part = lane / OWNED;
  let head = group.y + u.first_head;
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let first_row = group.x * 64u * HIGH;
  let length = u32($length[kv_head]);
  let rows = length + u.tokens;
  if $ended[sequence] != 0i || first_row >= rows {
    return;
  }
  let start = u32($offset[kv_head]);
  let row = first_row + own;
#repeat n OCTS_OF_LANE
  scores[own * SCORES + part * OCTS_OF_LANE + {n}u] = bitcast<vec4f>(half_piece($keys[(start + min(row, rows - 1u)) * OCTS + part * OCTS_OF_LANE + {n}u]));
#end
  workgroupBarrier();
#repeat d DEPTH
#repeat i HIGH
  let keys{i}_{d} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (subgroup_row + 16u * {i}u) * SCORES + 2u * {d}u, SCORES);
#end
#end
  // The first query that counts and sees the row.
  let earliest = max(u.first, max(row, length) - length);
  var mass = 0.0;
  for (var first = max(u.first, max(first_row, length) - length) / 32u * 32u; first < u.tokens; first += 32u) {
    workgroupBarrier();
#repeat p PIECES
    {
      let line = (local + THREADS * {p}u) / OCTS;
      let piece = (local + THREADS * {p}u) % OCTS;
      let query = sequence * u.tokens + min(first + line, u.tokens - 1u);
      query_tile[line * STRIDE + piece] = query_piece(query * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads, piece);
    }
#end
    if local < 32u {
      lse_tile[local / 4u][local % 4u] = $lse[head * u.tokens + min(first + local, u.tokens - 1u)];
    }
    workgroupBarrier();
#repeat k 2
    {
#repeat i HIGH
      var logits{i}: subgroup_matrix_result<f32, 16, 16>;
#end
#repeat d DEPTH
      let queries{d} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&query_tile, 16u * {k}u * STRIDE + 2u * {d}u, STRIDE);
#repeat i HIGH
      logits{i} = subgroupMatrixMultiplyAccumulate(keys{i}_{d}, queries{d}, logits{i});
#end
#end
#repeat i HIGH
      subgroupMatrixStore<row_major>(&scores, (subgroup_row + 16u * {i}u) * SCORES + 4u * {k}u, logits{i}, SCORES);
#end
    }
#end
    workgroupBarrier();
#repeat n QUADS
    {
      let quad = part * QUADS + {n}u;
      let query = vec4u(first + 4u * quad) + vec4u(0u, 1u, 2u, 3u);
      let weight = exp(capped(scores[own * SCORES + quad]) - lse_tile[quad]);
      let counted = select(vec4f(), weight, (query >= vec4u(earliest)) & (query < vec4u(u.tokens)));
      mass += counted.x + counted.y + counted.z + counted.w;
    }
#end
  }
#if HIGH == 1
  mass += subgroupShuffleXor(mass, 16u);
#endif
  if part == 0u && row < rows {
    $mass[head * u.capacity + row] += mass;
  }
}
