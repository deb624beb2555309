// attention: prefill of one sequence on a subgroup's matrix units. A workgroup takes 64 HIGH queries of one head, a subgroup 16 HIGH of them, and walks tiles of 32 keys:
// logits to shared memory, where the lane that owns a query turns them into weights, and back as f16 for the product with the values. Queries and sums stay in
// registers, HIGH x DEPTH matrices of 16 x 16 each.
//
// A matrix cannot be scaled row by row. So the base that exponents count from is not the running maximum: it follows only where a logit is more than 8 above it,
// when the sums go through shared memory once to be scaled. Weights reach e^8 at most, which f16 holds. (Lazy rescaling, as in FlashAttention-4.)
#include half
#include infinity
#include matrix-rows
var<workgroup> key_tile: array<vec4<u32>, 32u * STRIDE>;
var<workgroup> value_tile: array<vec4<u32>, 32u * STRIDE>;
var<workgroup> grown: atomic<u32>;
var<workgroup> shares: array<f32, 64u * HIGH>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % 32u;
  let first_row = local / 32u * OWNED;
  let own = first_row + lane % OWNED;
  let part = lane / OWNED;
  // The last queries, which see the most, come first.
  let first_query = (groups.x - 1u - group.x) * 64u * HIGH;
  let head = group.y + u.first_head;
  let kv_head = head / (u.query_heads / u.kv_heads);
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let length = u32($length[kv_head]);
  let start = u32($offset[kv_head]);
  let rows = length + min(first_query + 64u * HIGH, u.tokens);
  var first_key = 0u;
  if u.window > 0u && length + first_query + 1u > u.window {
    first_key = (length + first_query + 1u - u.window) / 32u * 32u;
  }
  let query = first_query + own;
  let position = length + query;
  // The keys that this lane's query sees: from `earliest` up to `end`.
  let end = min(position + 1u, rows);
  let earliest = select(0u, position + 1u - u.window, u.window > 0u && position + 1u > u.window);
#repeat n OCTS_OF_LANE
  scores[own * SCORES + part * OCTS_OF_LANE + {n}u] = bitcast<vec4f>(query_piece(min(query, u.tokens - 1u) * row_heads + head, part * OCTS_OF_LANE + {n}u));
#end
  workgroupBarrier();
#repeat i HIGH
#repeat g 2
#repeat e GROUP
  let query{i}_{g}_{e} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&scores, (first_row + 16u * {i}u) * SCORES + 2u * ({g}u * GROUP + {e}u), SCORES);
  var sum{i}_{g}_{e} = subgroup_matrix_result<f32, 16, 16>();
#end
#end
#end
  var base = -infinity();
  var total = 0.0;
#repeat p PIECES
  let line{p} = (local + THREADS * {p}u) / OCTS;
  let piece{p} = (local + THREADS * {p}u) % OCTS;
  var next_key{p} = half_piece($keys[(start + min(first_key + line{p}, rows - 1u)) * OCTS + piece{p}]);
  var next_value{p} = half_piece($values[(start + min(first_key + line{p}, rows - 1u)) * OCTS + piece{p}]);
#end
  for (var key = first_key; key < rows; key += 32u) {
    workgroupBarrier();
#repeat p PIECES
    key_tile[line{p} * STRIDE + piece{p}] = next_key{p};
    value_tile[line{p} * STRIDE + piece{p}] = next_value{p};
#end
    if local == 0u {
      atomicStore(&grown, 0u);
    }
    workgroupBarrier();
#repeat p PIECES
    let next{p} = start + min(key + 32u + line{p}, rows - 1u);
    next_key{p} = half_piece($keys[next{p} * OCTS + piece{p}]);
    next_value{p} = half_piece($values[next{p} * OCTS + piece{p}]);
#end
#repeat k 2
    {
#repeat i HIGH
      var logits{i} = subgroup_matrix_result<f32, 16, 16>();
#end
#repeat g 2
#repeat e GROUP
      let keys{g}_{e} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&key_tile, 16u * {k}u * STRIDE + 2u * ({g}u * GROUP + {e}u), STRIDE);
#repeat i HIGH
      logits{i} = subgroupMatrixMultiplyAccumulate(query{i}_{g}_{e}, keys{g}_{e}, logits{i});
#end
#end
#end
#repeat i HIGH
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * {i}u) * SCORES + 4u * {k}u, logits{i}, SCORES);
#end
    }
#end
    workgroupBarrier();
    var greatest = vec4f(-infinity());
#repeat n QUADS
    var x{n} = capped(scores[own * SCORES + part * QUADS + {n}u]);
    {
      let at = vec4u(key + 4u * (part * QUADS + {n}u)) + vec4u(0u, 1u, 2u, 3u);
      x{n} = select(vec4f(-infinity()), x{n}, (at < vec4u(end)) & (at >= vec4u(earliest)));
    }
    greatest = max(greatest, x{n});
#end
    var most = max(max(greatest.x, greatest.y), max(greatest.z, greatest.w));
#if HIGH == 1
    most = max(most, subgroupShuffleXor(most, 16u));
#endif
    var scale = 1.0;
    if most > base + 8.0 {
      if base > -infinity() {
        scale = exp(base - most);
        atomicStore(&grown, 1u);
      }
      base = most;
      total *= scale;
    }
    // A query that has seen nothing yet has nothing to count from.
    let zero = select(base, 0.0, base == -infinity());
    var sums = vec4f();
#repeat n QUADS
    let weight{n} = exp(x{n} - zero);
    sums += weight{n};
#end
    total += dot(sums, vec4f(1.0));
#repeat n PAIRS
    weights[own * WEIGHTS + part * PAIRS + {n}u] = pair_of({n}u, array<vec4f, QUADS>(
#repeat m QUADS
      weight{m},
#end
    ));
#end
    if workgroupUniformLoad(&grown) != 0u {
#repeat g 2
      workgroupBarrier();
#repeat i HIGH
#repeat e GROUP
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * {i}u) * SCORES + 4u * {e}u, sum{i}_{g}_{e}, SCORES);
#end
#end
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 4u * GROUP; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
#repeat i HIGH
#repeat e GROUP
      sum{i}_{g}_{e} = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(&scores, (first_row + 16u * {i}u) * SCORES + 4u * {e}u, SCORES);
#end
#end
#end
    }
#repeat k 2
    {
#repeat i HIGH
      let weights{i} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&weights, (first_row + 16u * {i}u) * WEIGHTS + 2u * {k}u, WEIGHTS);
#end
#repeat g 2
#repeat e GROUP
      let values{g}_{e} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&value_tile, 16u * {k}u * STRIDE + 2u * ({g}u * GROUP + {e}u), STRIDE);
#repeat i HIGH
      sum{i}_{g}_{e} = subgroupMatrixMultiplyAccumulate(weights{i}, values{g}_{e}, sum{i}_{g}_{e});
#end
#end
#end
    }
#end
  }
#if HIGH == 1
  total += subgroupShuffleXor(total, 16u);
#endif
  if part == 0u {
    shares[own] = 1.0 / total;
    if query < u.tokens {
      $lse[head * u.tokens + query] = base + log(total);
    }
  }
#repeat g 2
  workgroupBarrier();
#repeat i HIGH
#repeat e GROUP
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * {i}u) * SCORES + 4u * {e}u, sum{i}_{g}_{e}, SCORES);
#end
#end
  workgroupBarrier();
  for (var n = lane; n < 16u * GROUP * OWNED; n += 32u) {
    let row = first_row + n / (16u * GROUP);
    if first_query + row < u.tokens {
      let c = n % (16u * GROUP);
      $out[((first_query + row) * u.query_heads + head) * 16u * DEPTH + 16u * GROUP * {g}u + c] = scores[row * SCORES + c / 4u][c % 4u] * shares[row];
    }
  }
#end
}

// Eight of a lane's weights, as f16.
fn pair_of(n: u32, all: array<vec4f, QUADS>) -> vec4<u32> {
  return packed(all[2u * n], all[2u * n + 1u]);
}
