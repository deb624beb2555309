// decodeAttention, second dispatch: merges the splits of a query head. A workgroup computes 8 quads of the result; 32
// threads share the splits of each.
#include infinity
const THREADS = 256u;
#include reduce
// The number of splits is at most this: see decode-attention.ts.
var<workgroup> weights: array<f32, 1088>;
var<workgroup> sums: array<vec4f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.x;
  let sequence = group.y;
  let kv_head = sequence * u.kv_heads + head / (u.query_heads / u.kv_heads);
  let rows = u32($length[kv_head]) + select(0u, 1u, $ended[sequence] == 0i);
  let splits = (rows + u.rows_at_once - 1u) / u.rows_at_once;
  let query = sequence * u.query_heads + head;
  let stride = u.quads + 1u;
  let base = query * u.splits * stride;
  var most = -infinity();
  for (var s = local; s < splits; s += THREADS) {
    let x = $partial[base + s * stride].x;
    weights[s] = x;
    most = max(most, x);
  }
  most = max_over_threads(most, local);
  var total = 0.0;
  for (var s = local; s < splits; s += THREADS) {
    let weight = exp(weights[s] - most);
    weights[s] = weight;
    total += weight * $partial[base + s * stride].y;
  }
  total = sum_over_threads(total, local);
  let quad = group.z * 8u + local % 8u;
  var sum = vec4f();
  if quad < u.quads {
    for (var s = local / 8u; s < splits; s += 32u) {
      sum += weights[s] * $partial[base + s * stride + 1u + quad];
    }
  }
  sums[local] = sum;
  for (var half = THREADS / 2u; half >= 8u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      sums[local] += sums[local + half];
    }
  }
  if local < 8u {
    for (var c = 0u; c < 4u; c++) {
      if 4u * quad + c < u.size {
        $out[query * u.size + 4u * quad + c] = select(0.0, sums[local][c] / total, splits > 0u);
      }
    }
  }
  if local == 0u && group.z == 0u {
    $lse[query] = select(-infinity(), most + log(total), splits > 0u);
  }
}
