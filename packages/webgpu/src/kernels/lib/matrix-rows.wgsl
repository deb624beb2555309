// Rows for a subgroup's matrix units, in f16: a workgroup of four subgroups has 64 HIGH rows, a subgroup 16 HIGH of them, and each row belongs to one lane, or with HIGH = 1
// to two, PART 0 and 1. Numbers are bounded by what f16 holds.
const THREADS = 128u;
const OWNED = 16u * HIGH;
const OCTS = 2u * DEPTH;
// Lines of shared memory, padded by 16 bytes so that neighbours lie in different banks: of staged rows; of 32 products, or half a row's sums; of 32 weights.
const STRIDE = OCTS + 1u;
const SCORES = max(9u, STRIDE);
const WEIGHTS = 5u;
var<workgroup> scores: array<vec4f, 64u * HIGH * SCORES>;
var<workgroup> weights: array<vec4<u32>, 64u * HIGH * WEIGHTS>;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  let low = clamp(a, vec4f(-65504.0), vec4f(65504.0));
  let high = clamp(b, vec4f(-65504.0), vec4f(65504.0));
  return vec4<u32>(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy), pack2x16float(high.zw));
}

// Eight numbers of a query, times the scale.
fn query_piece(row: u32, oct: u32) -> vec4<u32> {
  let at = (row * OCTS + oct) * 2u;
  return packed(u.scale * $qkv[at], u.scale * $qkv[at + 1u]);
}

fn half_piece(bits: vec4<u32>) -> vec4<u32> {
#if KV == f16
  return bits;
#else
  return packed(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
#endif
}

fn capped(x: vec4f) -> vec4f {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, vec4f(-15.0), vec4f(15.0)));
  }
  return x;
}
