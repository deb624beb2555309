// attention: prefill of one sequence on a subgroup's matrix units. A workgroup keeps 64 HIGH queries of one head in
// registers, and their sums, and visits tiles of STAGED keys. Logits go to workgroup memory, where the lane that has a
// query turns them into weights, f16 in the same place, for the product with the values.
//
// A matrix cannot be scaled row by row. So the base of the exponents is not the running maximum: it follows only when a
// logit exceeds it by more than 11, and then the sums go through workgroup memory to be scaled. Weights are at most
// 2^11, which f16 holds. (Lazy rescaling, as in FlashAttention-4.) Logits are in units of log2(e).
//
// A tile takes two phases: products with the staged keys; then weights, while the next keys and the values of this tile
// are staged. Products with the values run beside the first phase of the next tile. Rows are loaded one tile before
// they are staged.
// SHARED: keys and values are staged in one place in turn, so that tiles are larger and barriers fewer. Rows are loaded
// one phase before they are staged.
#include half
#include infinity
#include matrix-rows
// The row of `tiles` at which values start.
#if SHARED
const VALUES = 0u;
#else
const VALUES = STAGED;
#endif
// Keys, then values; with SHARED they are here in turn.
var<workgroup> tiles: array<vec4<u32>, 64u * STRIDE>;
var<workgroup> scores: array<vec4f, 64u * HIGH * SCORES>;
var<workgroup> grown: atomic<u32>;
var<workgroup> shares: array<f32, 64u * HIGH>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % 32u;
  let subgroup = local / 32u;
  let first_row = subgroup * OWNED;
  let own = first_row + lane % OWNED;
  let part = lane / OWNED;
  // The last queries, which see the most keys, come first.
  let first_query = (groups.x - 1u - group.x) * 64u * HIGH;
  let head = group.y + u.first_head;
  let kv_head = head / (u.query_heads / u.kv_heads);
  let row_heads = u.query_heads + 2u * u.kv_heads;
  let length = u32($length[kv_head]);
  let start = u32($offset[kv_head]);
  let rows = length + min(first_query + 64u * HIGH, u.tokens);
  var first_key = 0u;
  if u.window > 0u && length + first_query + 1u > u.window {
    first_key = (length + first_query + 1u - u.window) / STAGED * STAGED;
  }
  let query = first_query + own;
  let position = length + query;
  // This lane's query sees the keys from `earliest` up to `end`.
  let end = min(position + 1u, rows);
  let earliest = select(0u, position + 1u - u.window, u.window > 0u && position + 1u > u.window);
  // All queries see all keys of a tile that lies between these two.
  let all_from = select(0u, length + first_query + 64u * HIGH - u.window, u.window > 0u && rows > u.window);
  let all_to = length + min(first_query + 1u, u.tokens);
#repeat i HIGH
  workgroupBarrier();
  for (var n = local; n < 64u * OCTS; n += THREADS) {
    let row = n / OCTS;
    let origin = first_query + row / 16u * OWNED + 16u * {i}u + row % 16u;
    let at = ((min(origin, u.tokens - 1u) * row_heads + head) * OCTS + n % OCTS) * 2u;
    tiles[row * STRIDE + n % OCTS] = query_piece($qkv[at], $qkv[at + 1u]);
  }
  workgroupBarrier();
#repeat h HALVES
#repeat e 2
  let query{i}_{h}_{e} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
    &tiles, subgroup * 16u * STRIDE + 4u * {h}u + 2u * {e}u, STRIDE);
  var sum{i}_{h}_{e} = subgroup_matrix_result<f32, 16, 16>();
#end
#end
#end
#repeat n PAIRS
  // Eight weights lie in a quad: those of sixteen keys at the start of the place of their logits, which only this lane
  // reads.
  let pair{n} = part * PAIRS + {n}u;
  let weight_at{n} = own * SCORES + pair{n} / 2u * 4u + pair{n} % 2u;
#end
  var base = -infinity();
  var total = 0.0;
  if local == 0u {
    atomicStore(&grown, 0u);
  }
  workgroupBarrier();
#repeat p PIECES
  let line{p} = (local + THREADS * {p}u) / OCTS;
  let piece{p} = (local + THREADS * {p}u) % OCTS;
  let first{p} = (start + min(first_key + line{p}, rows - 1u)) * OCTS + piece{p};
  tiles[line{p} * STRIDE + piece{p}] = half_piece($keys[first{p}]);
#if !SHARED
  let second{p} = (start + min(first_key + STAGED + line{p}, rows - 1u)) * OCTS + piece{p};
  var next_key{p} = $keys[second{p}];
  var next_value{p} = $values[first{p}];
#endif
#end
  workgroupBarrier();
  for (var key = first_key; key < rows; key += STAGED) {
#if SHARED
#repeat p PIECES
    let next_value{p} = $values[(start + min(key + line{p}, rows - 1u)) * OCTS + piece{p}];
#end
#endif
    {
      // Sums of different keys take turns, so that a product need not wait for the one before it.
#repeat k BLOCKS
#repeat i HIGH
      var logits{i}_{k} = subgroup_matrix_result<f32, 16, 16>();
#end
#end
#repeat h HALVES
#repeat e 2
#repeat k BLOCKS
      let keys{h}_{e}_{k} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(
        &tiles, 16u * {k}u * STRIDE + 4u * {h}u + 2u * {e}u, STRIDE);
#repeat i HIGH
      logits{i}_{k} = subgroupMatrixMultiplyAccumulate(query{i}_{h}_{e}, keys{h}_{e}_{k}, logits{i}_{k});
#end
#end
#end
#end
#repeat k BLOCKS
#repeat i HIGH
      subgroupMatrixStore<row_major>(&scores, (first_row + 16u * {i}u) * SCORES + 4u * {k}u, logits{i}_{k}, SCORES);
#end
#end
    }
    workgroupBarrier();
#repeat p PIECES
#if SHARED
    tiles[line{p} * STRIDE + piece{p}] = half_piece(next_value{p});
#else
    tiles[line{p} * STRIDE + piece{p}] = half_piece(next_key{p});
    tiles[(STAGED + line{p}) * STRIDE + piece{p}] = half_piece(next_value{p});
#endif
#end
#repeat n PAIRS
    var low{n} = capped(scores[own * SCORES + 2u * (part * PAIRS + {n}u)]);
    var high{n} = capped(scores[own * SCORES + 2u * (part * PAIRS + {n}u) + 1u]);
#end
    if key < all_from || key + STAGED > all_to {
#repeat n PAIRS
      {
        let at = vec4u(key + 8u * (part * PAIRS + {n}u)) + vec4u(0u, 1u, 2u, 3u);
        let next = at + 4u;
        low{n} = select(vec4f(-infinity()), low{n}, (at < vec4u(end)) & (at >= vec4u(earliest)));
        high{n} = select(vec4f(-infinity()), high{n}, (next < vec4u(end)) & (next >= vec4u(earliest)));
      }
#end
    }
    var greatest = max(low0, high0);
#repeat n PAIRS
    greatest = max(greatest, max(low{n}, high{n}));
#end
    var most = max(max(greatest.x, greatest.y), max(greatest.z, greatest.w));
#if HIGH == 1
    most = max(most, subgroupShuffleXor(most, 16u));
#endif
    var scale = 1.0;
    if most > base + 11.0 {
      if base > -infinity() {
        scale = exp2(base - most);
        atomicStore(&grown, 1u);
      }
      base = most;
      total *= scale;
    }
    // A query that has seen no key yet has no base.
    let zero = select(base, 0.0, base == -infinity());
    var sums = vec4f();
#repeat n PAIRS
    var weight{n}: vec4f;
    {
      let a = exp2(low{n} - zero);
      let b = exp2(high{n} - zero);
      sums += a + b;
      weight{n} = bitcast<vec4f>(packed(a, b));
    }
    scores[weight_at{n}] = weight{n};
#end
    total += dot(sums, vec4f(1.0));
    if workgroupUniformLoad(&grown) != 0u {
#repeat h HALVES
#repeat i HIGH
#repeat e 2
      subgroupMatrixStore<row_major>(
        &scores, (first_row + 16u * {i}u) * SCORES + 4u * {e}u, sum{i}_{h}_{e}, SCORES);
#end
#end
      workgroupBarrier();
      if part == 0u {
        for (var n = 0u; n < 8u; n++) {
          scores[own * SCORES + n] *= scale;
        }
      }
      workgroupBarrier();
#repeat i HIGH
#repeat e 2
      sum{i}_{h}_{e} = subgroupMatrixLoad<subgroup_matrix_result<f32, 16, 16>, row_major>(
        &scores, (first_row + 16u * {i}u) * SCORES + 4u * {e}u, SCORES);
#end
#end
      workgroupBarrier();
#end
#repeat n PAIRS
      scores[weight_at{n}] = weight{n};
#end
      workgroupBarrier();
    }
#repeat k BLOCKS
#repeat i HIGH
    let weights{i}_{k} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(
      &scores, (first_row + 16u * {i}u) * SCORES + 4u * {k}u, SCORES);
#end
#end
    // The next products overwrite the weights.
    workgroupBarrier();
    if local == 0u {
      atomicStore(&grown, 0u);
    }
#repeat p PIECES
#if SHARED
    let next_key{p} = $keys[(start + min(key + STAGED + line{p}, rows - 1u)) * OCTS + piece{p}];
#else
    next_key{p} = $keys[(start + min(key + 2u * STAGED + line{p}, rows - 1u)) * OCTS + piece{p}];
    next_value{p} = $values[(start + min(key + STAGED + line{p}, rows - 1u)) * OCTS + piece{p}];
#endif
#end
#repeat k BLOCKS
#repeat h HALVES
#repeat e 2
    let values{h}_{e}_{k} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(
      &tiles, (VALUES + 16u * {k}u) * STRIDE + 4u * {h}u + 2u * {e}u, STRIDE);
#repeat i HIGH
    sum{i}_{h}_{e} = subgroupMatrixMultiplyAccumulate(weights{i}_{k}, values{h}_{e}_{k}, sum{i}_{h}_{e});
#end
#end
#end
#end
#if SHARED
    workgroupBarrier();
#repeat p PIECES
    tiles[line{p} * STRIDE + piece{p}] = half_piece(next_key{p});
#end
    workgroupBarrier();
#endif
  }
#if HIGH == 1
  total += subgroupShuffleXor(total, 16u);
#endif
  if part == 0u {
    shares[own] = 1.0 / total;
    if query < u.tokens {
      $lse[head * u.tokens + query] = (base + log2(total)) * LN2;
    }
  }
#repeat h HALVES
  workgroupBarrier();
#repeat i HIGH
#repeat e 2
  subgroupMatrixStore<row_major>(&scores, (first_row + 16u * {i}u) * SCORES + 4u * {e}u, sum{i}_{h}_{e}, SCORES);
#end
#end
  workgroupBarrier();
  for (var n = 0u; n < OWNED; n++) {
    let row = first_row + n;
    if first_query + row < u.tokens {
      let x = scores[row * SCORES + lane / 4u][lane % 4u] * shares[row];
      $out[((first_query + row) * u.query_heads + head) * 32u * HALVES + 32u * {h}u + lane] = x;
    }
  }
#end
}
