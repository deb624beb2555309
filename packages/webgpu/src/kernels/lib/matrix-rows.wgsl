// Products of rows of one head on a subgroup's matrix units, in f16. A workgroup of four subgroups keeps 64 HIGH rows
// in registers, and a subgroup 16 HIGH of them; STAGED rows of the other side, 16 BLOCKS, are staged at a time. Each
// kept row belongs to one lane, or if HIGH is 1 to two lanes, which have half of its products each: lane `part` has the
// pairs of quads from part * PAIRS on. A row has 32 HALVES numbers. Numbers are bounded to the range of f16.
const THREADS = 128u;
const OWNED = 16u * HIGH;
const OCTS = 4u * HALVES;
// Lines of workgroup memory in quads of words: of a staged row, and of STAGED products. They are padded by one quad, so
// that neighbouring lines are in different banks.
const STRIDE = OCTS + 1u;
const SCORES = STAGED / 4u + 1u;
const LOG2E = 1.4426950408889634;
const LN2 = 0.6931471805599453;

fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

// Eight numbers of a query times the scale, which includes log2(e) if logits are not capped.
fn query_piece(a: vec4f, b: vec4f) -> vec4<u32> {
  return packed(bounded(u.scale * a), bounded(u.scale * b));
}

fn half_piece(bits: vec4<u32>) -> vec4<u32> {
#if KV == f16
  return bits;
#else
  return packed(
    bounded(vec4f(bf16_pair(bits.x), bf16_pair(bits.y))),
    bounded(vec4f(bf16_pair(bits.z), bf16_pair(bits.w))),
  );
#endif
}

// A logit times log2(e).
fn capped(x: vec4f) -> vec4f {
#if CAPPED
  return u.softcap * LOG2E * tanh(clamp(x / u.softcap, vec4f(-15.0), vec4f(15.0)));
#else
  return x;
#endif
}
