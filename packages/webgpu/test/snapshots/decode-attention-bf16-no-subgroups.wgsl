const LANES = 8u;
const HEADS = 4u;
const OCTS = 8u;
const LOADS = 4u;
const SUBGROUP = 0u;
struct Uniforms {
  qkv_at: u32,
  keys_at: u32,
  values_at: u32,
  offset_at: u32,
  length_at: u32,
  ended_at: u32,
  partial_at: u32,
  query_heads: u32,
  kv_heads: u32,
  size: u32,
  splits: u32,
  tiles: u32,
  scale: f32,
  softcap: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> qkv_data: array<f32>;
@group(0) @binding(2) var<storage, read> keys_data: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> values_data: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> offset_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> partial_data: array<vec4<f32>>;
// decodeAttention: one query a sequence, in two dispatches (Flash-Decoding). In `split`, the first, a workgroup takes a
// few tiles of TILE rows of one KV head and HEADS of the query heads that share it; decode-merge.wgsl is the second.
// The grid covers `capacity` rows; workgroups beyond a head's length return at once. If there is one split, `split`
// writes the result itself.
//
// LANES threads, a team, read one row of K or V together, eight numbers each. For each tile the teams compute the
// logits; 32 threads for each query head find their maximum and the weights; every team adds up the weighted values of
// its rows. The maximum may grow from tile to tile, and the sums are scaled then.
// AHEAD: the next rows are prefetched while the current ones are used.
// SLOT: keys are stored unrotated, and are rotated to their ranks as they are read.
//
// Partial results are quads, [query head, split, 1 + 2 OCTS]: maximum and sum, then the sum of weighted values.
// Infinity and NaN. WGSL has no literals for them, and rejects constant expressions that yield them, so they are made
// at run time.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

struct Oct {
  a: vec4f,
  b: vec4f,
}
// Eight numbers of a row of keys, from number 8 n on; zeros past its end. keys_raw is the load alone, so that a kernel
// can issue several before it uses them. The kernel declares struct Oct { a: vec4f, b: vec4f }. WIDE: rows are whole
// octs, each of which is one load of 16-bit numbers or two of 32-bit ones.
// 16-bit floats, two to a word, the even one in the low half. Rounding is to nearest, ties to even; numbers beyond the
// range of f16 become infinity.
fn f16_pair(word: u32) -> vec2f {
  return unpack2x16float(word);
}

fn bf16_pair(word: u32) -> vec2f {
  return vec2f(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

fn f16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if size > 0x7f800000u {
    return 0x7e00u;
  }
  if size >= 0x47800000u {
    return sign | 0x7c00u;
  }
  if size < 0x38800000u {
    return sign | u32(round(bitcast<f32>(size) * 16777216.0));
  }
  return sign | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u);
}

fn bf16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if (bits & 0x7fffffffu) > 0x7f800000u {
    return (bits >> 16u) | 0x40u;
  }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

fn f16_word(pair: vec2f) -> u32 {
  return f16_bits(pair.x) | (f16_bits(pair.y) << 16u);
}

fn bf16_word(pair: vec2f) -> u32 {
  return bf16_bits(pair.x) | (bf16_bits(pair.y) << 16u);
}

fn keys_raw(row: u32, n: u32) -> vec4<u32> {
  return keys_data[u.keys_at + row * OCTS + min(n, OCTS - 1u)];
}
fn keys_oct(bits: vec4<u32>) -> Oct {
  return Oct(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
}

// Eight numbers of a row of values, from number 8 n on; zeros past its end. values_raw is the load alone, so that a kernel
// can issue several before it uses them. The kernel declares struct Oct { a: vec4f, b: vec4f }. WIDE: rows are whole
// octs, each of which is one load of 16-bit numbers or two of 32-bit ones.
fn values_raw(row: u32, n: u32) -> vec4<u32> {
  return values_data[u.values_at + row * OCTS + min(n, OCTS - 1u)];
}
fn values_oct(bits: vec4<u32>) -> Oct {
  return Oct(vec4f(bf16_pair(bits.x), bf16_pair(bits.y)), vec4f(bf16_pair(bits.z), bf16_pair(bits.w)));
}

const THREADS = 128u;
const TEAMS = THREADS / LANES;
const TILE = 128u;
// Loads of one team for a tile: it reads LOADS rows at once.
const PASSES = TILE / TEAMS;
const SHARES = TEAMS;
var<workgroup> pieces: array<f32, HEADS * THREADS>;
var<workgroup> reduced: array<f32, THREADS>;
var<workgroup> logits: array<f32, HEADS * TILE>;
var<workgroup> weights: array<f32, HEADS * TILE>;
// For each query head: the scale of older sums under the new maximum; at the end the whole sum and the maximum.
var<workgroup> kept: array<f32, HEADS>;
var<workgroup> totals: array<vec2f, HEADS>;
var<workgroup> gathered: array<vec4f, SHARES * LANES * 2u>;

fn query_oct(row: u32, n: u32, used: bool) -> Oct {
  var numbers = Oct();
  for (var c = 0u; c < 4u; c++) {
    if used && 8u * n + c < u.size {
      numbers.a[c] = u.scale * qkv_data[u.qkv_at + row * u.size + 8u * n + c];
    }
    if used && 8u * n + 4u + c < u.size {
      numbers.b[c] = u.scale * qkv_data[u.qkv_at + row * u.size + 8u * n + 4u + c];
    }
  }
  return numbers;
}


fn capped(x: f32) -> f32 {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, -15.0, 15.0));
  }
  return x;
}

// The maximum over the 32 threads of a query head.
fn max_of_head(x: f32, local: u32) -> f32 {
  reduced[local] = x;
  for (var half = 16u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local % 32u < half {
      reduced[local] = max(reduced[local], reduced[local + half]);
    }
  }
  workgroupBarrier();
  let most = reduced[local / 32u * 32u];
  workgroupBarrier();
  return most;
}

fn sum_of_head(x: f32, local: u32) -> f32 {
  reduced[local] = x;
  for (var half = 16u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local % 32u < half {
      reduced[local] += reduced[local + half];
    }
  }
  workgroupBarrier();
  let sum = reduced[local / 32u * 32u];
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let lane = local % LANES;
  let team = local / LANES;
  let share = u.query_heads / u.kv_heads;
  let blocks = (share + HEADS - 1u) / HEADS;
  let sequence = group.z;
  let kv_head = sequence * u.kv_heads + group.y / blocks;
  // This workgroup has `heads` query heads from `first_head` on.
  let in_group = group.y % blocks * HEADS;
  let heads = min(HEADS, share - in_group);
  let first_head = group.y / blocks * share + in_group;
  let first_query = sequence * u.query_heads + first_head;
  let rows = u32(offset_data[u.length_at + kv_head]) + select(0u, 1u, offset_data[u.ended_at + sequence] == 0i);
  let first = group.x * u.tiles * TILE;
  if first >= rows {
    return;
  }
  let end = min(rows, first + u.tiles * TILE);
  let start = u32(offset_data[u.offset_at + kv_head]);
  let qkv_row = sequence * (u.query_heads + 2u * u.kv_heads) + first_head;
  let query0 = query_oct(qkv_row + 0u, lane, 0u < heads);
  var sum0a = vec4f();
  var sum0b = vec4f();
  let query1 = query_oct(qkv_row + 1u, lane, 1u < heads);
  var sum1a = vec4f();
  var sum1b = vec4f();
  let query2 = query_oct(qkv_row + 2u, lane, 2u < heads);
  var sum2a = vec4f();
  var sum2b = vec4f();
  let query3 = query_oct(qkv_row + 3u, lane, 3u < heads);
  var sum3a = vec4f();
  var sum3b = vec4f();
  // The maximum and sum of query head `own`; 32 threads, or twice as many, hold the same ones.
  let own = local / 32u % HEADS;
  var most = -infinity();
  var total = 0.0;
  var next0 = keys_raw(start + min(first + 0u * TEAMS + team, max(end, 1u) - 1u), lane);
  var next1 = keys_raw(start + min(first + 1u * TEAMS + team, max(end, 1u) - 1u), lane);
  var next2 = keys_raw(start + min(first + 2u * TEAMS + team, max(end, 1u) - 1u), lane);
  var next3 = keys_raw(start + min(first + 3u * TEAMS + team, max(end, 1u) - 1u), lane);
  for (var tile = first; tile < end; tile += TILE) {
    for (var step = 0u; step < PASSES; step += LOADS) {
      let at0 = (step + 0u) * TEAMS + team;
      let raw0 = next0;
      let at1 = (step + 1u) * TEAMS + team;
      let raw1 = next1;
      let at2 = (step + 2u) * TEAMS + team;
      let raw2 = next2;
      let at3 = (step + 3u) * TEAMS + team;
      let raw3 = next3;
      if step + LOADS < PASSES {
        next0 = keys_raw(start + min(tile + at0 + LOADS * TEAMS, end - 1u), lane);
        next1 = keys_raw(start + min(tile + at1 + LOADS * TEAMS, end - 1u), lane);
        next2 = keys_raw(start + min(tile + at2 + LOADS * TEAMS, end - 1u), lane);
        next3 = keys_raw(start + min(tile + at3 + LOADS * TEAMS, end - 1u), lane);
      } else {
        next0 = values_raw(start + min(tile + 0u * TEAMS + team, end - 1u), lane);
        next1 = values_raw(start + min(tile + 1u * TEAMS + team, end - 1u), lane);
        next2 = values_raw(start + min(tile + 2u * TEAMS + team, end - 1u), lane);
        next3 = values_raw(start + min(tile + 3u * TEAMS + team, end - 1u), lane);
      }
      {
        let k = keys_oct(raw0);
        let seen = tile + at0 < end;
        var x0 = dot(query0.a, k.a) + dot(query0.b, k.b);
        var x1 = dot(query1.a, k.a) + dot(query1.b, k.b);
        var x2 = dot(query2.a, k.a) + dot(query2.b, k.b);
        var x3 = dot(query3.a, k.a) + dot(query3.b, k.b);
        pieces[0u * THREADS + local] = x0;
        pieces[1u * THREADS + local] = x1;
        pieces[2u * THREADS + local] = x2;
        pieces[3u * THREADS + local] = x3;
        workgroupBarrier();
        for (var i = local; i < HEADS * TEAMS; i += THREADS) {
          var x = 0.0;
          for (var l = 0u; l < LANES; l++) {
            x += pieces[i / TEAMS * THREADS + i % TEAMS * LANES + l];
          }
          let row = (step + 0u) * TEAMS + i % TEAMS;
          logits[i / TEAMS * TILE + row] = select(-infinity(), capped(x), tile + row < end);
        }
        workgroupBarrier();
      }
      {
        let k = keys_oct(raw1);
        let seen = tile + at1 < end;
        var x0 = dot(query0.a, k.a) + dot(query0.b, k.b);
        var x1 = dot(query1.a, k.a) + dot(query1.b, k.b);
        var x2 = dot(query2.a, k.a) + dot(query2.b, k.b);
        var x3 = dot(query3.a, k.a) + dot(query3.b, k.b);
        pieces[0u * THREADS + local] = x0;
        pieces[1u * THREADS + local] = x1;
        pieces[2u * THREADS + local] = x2;
        pieces[3u * THREADS + local] = x3;
        workgroupBarrier();
        for (var i = local; i < HEADS * TEAMS; i += THREADS) {
          var x = 0.0;
          for (var l = 0u; l < LANES; l++) {
            x += pieces[i / TEAMS * THREADS + i % TEAMS * LANES + l];
          }
          let row = (step + 1u) * TEAMS + i % TEAMS;
          logits[i / TEAMS * TILE + row] = select(-infinity(), capped(x), tile + row < end);
        }
        workgroupBarrier();
      }
      {
        let k = keys_oct(raw2);
        let seen = tile + at2 < end;
        var x0 = dot(query0.a, k.a) + dot(query0.b, k.b);
        var x1 = dot(query1.a, k.a) + dot(query1.b, k.b);
        var x2 = dot(query2.a, k.a) + dot(query2.b, k.b);
        var x3 = dot(query3.a, k.a) + dot(query3.b, k.b);
        pieces[0u * THREADS + local] = x0;
        pieces[1u * THREADS + local] = x1;
        pieces[2u * THREADS + local] = x2;
        pieces[3u * THREADS + local] = x3;
        workgroupBarrier();
        for (var i = local; i < HEADS * TEAMS; i += THREADS) {
          var x = 0.0;
          for (var l = 0u; l < LANES; l++) {
            x += pieces[i / TEAMS * THREADS + i % TEAMS * LANES + l];
          }
          let row = (step + 2u) * TEAMS + i % TEAMS;
          logits[i / TEAMS * TILE + row] = select(-infinity(), capped(x), tile + row < end);
        }
        workgroupBarrier();
      }
      {
        let k = keys_oct(raw3);
        let seen = tile + at3 < end;
        var x0 = dot(query0.a, k.a) + dot(query0.b, k.b);
        var x1 = dot(query1.a, k.a) + dot(query1.b, k.b);
        var x2 = dot(query2.a, k.a) + dot(query2.b, k.b);
        var x3 = dot(query3.a, k.a) + dot(query3.b, k.b);
        pieces[0u * THREADS + local] = x0;
        pieces[1u * THREADS + local] = x1;
        pieces[2u * THREADS + local] = x2;
        pieces[3u * THREADS + local] = x3;
        workgroupBarrier();
        for (var i = local; i < HEADS * TEAMS; i += THREADS) {
          var x = 0.0;
          for (var l = 0u; l < LANES; l++) {
            x += pieces[i / TEAMS * THREADS + i % TEAMS * LANES + l];
          }
          let row = (step + 3u) * TEAMS + i % TEAMS;
          logits[i / TEAMS * TILE + row] = select(-infinity(), capped(x), tile + row < end);
        }
        workgroupBarrier();
      }
    }
    workgroupBarrier();
    let logit0 = logits[own * TILE + 0u * 32u + local % 32u];
    let logit1 = logits[own * TILE + 1u * 32u + local % 32u];
    let logit2 = logits[own * TILE + 2u * 32u + local % 32u];
    let logit3 = logits[own * TILE + 3u * 32u + local % 32u];
    let now = max(most, max_of_head(max(max(logit0, logit1), max(logit2, logit3)), local));
    let weight0 = exp(logit0 - now);
    let weight1 = exp(logit1 - now);
    let weight2 = exp(logit2 - now);
    let weight3 = exp(logit3 - now);
    let keep = exp(most - now);
    total = total * keep + sum_of_head(weight0 + weight1 + weight2 + weight3, local);
    most = now;
    if local / 32u < HEADS {
      weights[own * TILE + 0u * 32u + local % 32u] = weight0;
      weights[own * TILE + 1u * 32u + local % 32u] = weight1;
      weights[own * TILE + 2u * 32u + local % 32u] = weight2;
      weights[own * TILE + 3u * 32u + local % 32u] = weight3;
      if local % 32u == 0u {
        kept[own] = keep;
      }
    }
    workgroupBarrier();
    {
      let keep = kept[0];
      sum0a *= keep;
      sum0b *= keep;
    }
    {
      let keep = kept[1];
      sum1a *= keep;
      sum1b *= keep;
    }
    {
      let keep = kept[2];
      sum2a *= keep;
      sum2b *= keep;
    }
    {
      let keep = kept[3];
      sum3a *= keep;
      sum3b *= keep;
    }
    for (var step = 0u; step < PASSES; step += LOADS) {
      let at0 = (step + 0u) * TEAMS + team;
      let raw0 = next0;
      let at1 = (step + 1u) * TEAMS + team;
      let raw1 = next1;
      let at2 = (step + 2u) * TEAMS + team;
      let raw2 = next2;
      let at3 = (step + 3u) * TEAMS + team;
      let raw3 = next3;
      if step + LOADS < PASSES {
        next0 = values_raw(start + min(tile + at0 + LOADS * TEAMS, end - 1u), lane);
        next1 = values_raw(start + min(tile + at1 + LOADS * TEAMS, end - 1u), lane);
        next2 = values_raw(start + min(tile + at2 + LOADS * TEAMS, end - 1u), lane);
        next3 = values_raw(start + min(tile + at3 + LOADS * TEAMS, end - 1u), lane);
      } else {
        next0 = keys_raw(start + min(tile + TILE + 0u * TEAMS + team, end - 1u), lane);
        next1 = keys_raw(start + min(tile + TILE + 1u * TEAMS + team, end - 1u), lane);
        next2 = keys_raw(start + min(tile + TILE + 2u * TEAMS + team, end - 1u), lane);
        next3 = keys_raw(start + min(tile + TILE + 3u * TEAMS + team, end - 1u), lane);
      }
      {
        let v = values_oct(raw0);
        {
          let weight = weights[0u * TILE + at0];
          sum0a += weight * v.a;
          sum0b += weight * v.b;
        }
        {
          let weight = weights[1u * TILE + at0];
          sum1a += weight * v.a;
          sum1b += weight * v.b;
        }
        {
          let weight = weights[2u * TILE + at0];
          sum2a += weight * v.a;
          sum2b += weight * v.b;
        }
        {
          let weight = weights[3u * TILE + at0];
          sum3a += weight * v.a;
          sum3b += weight * v.b;
        }
      }
      {
        let v = values_oct(raw1);
        {
          let weight = weights[0u * TILE + at1];
          sum0a += weight * v.a;
          sum0b += weight * v.b;
        }
        {
          let weight = weights[1u * TILE + at1];
          sum1a += weight * v.a;
          sum1b += weight * v.b;
        }
        {
          let weight = weights[2u * TILE + at1];
          sum2a += weight * v.a;
          sum2b += weight * v.b;
        }
        {
          let weight = weights[3u * TILE + at1];
          sum3a += weight * v.a;
          sum3b += weight * v.b;
        }
      }
      {
        let v = values_oct(raw2);
        {
          let weight = weights[0u * TILE + at2];
          sum0a += weight * v.a;
          sum0b += weight * v.b;
        }
        {
          let weight = weights[1u * TILE + at2];
          sum1a += weight * v.a;
          sum1b += weight * v.b;
        }
        {
          let weight = weights[2u * TILE + at2];
          sum2a += weight * v.a;
          sum2b += weight * v.b;
        }
        {
          let weight = weights[3u * TILE + at2];
          sum3a += weight * v.a;
          sum3b += weight * v.b;
        }
      }
      {
        let v = values_oct(raw3);
        {
          let weight = weights[0u * TILE + at3];
          sum0a += weight * v.a;
          sum0b += weight * v.b;
        }
        {
          let weight = weights[1u * TILE + at3];
          sum1a += weight * v.a;
          sum1b += weight * v.b;
        }
        {
          let weight = weights[2u * TILE + at3];
          sum2a += weight * v.a;
          sum2b += weight * v.b;
        }
        {
          let weight = weights[3u * TILE + at3];
          sum3a += weight * v.a;
          sum3b += weight * v.b;
        }
      }
    }
    workgroupBarrier();
  }
  if local % 32u == 0u && local / 32u < HEADS {
    totals[own] = vec2f(most, total);
  }
  workgroupBarrier();
  gathered[2u * local] = sum0a;
  gathered[2u * local + 1u] = sum0b;
  workgroupBarrier();
  if local < 2u * OCTS && 0u < heads {
    var quad = vec4f();
    for (var s = 0u; s < SHARES; s++) {
      quad += gathered[s * LANES * 2u + local];
    }
    partial_data[u.partial_at + ((first_query + 0u) * u.splits + group.x) * (2u * OCTS + 1u) + 1u + local] = quad;
  }
  workgroupBarrier();
  gathered[2u * local] = sum1a;
  gathered[2u * local + 1u] = sum1b;
  workgroupBarrier();
  if local < 2u * OCTS && 1u < heads {
    var quad = vec4f();
    for (var s = 0u; s < SHARES; s++) {
      quad += gathered[s * LANES * 2u + local];
    }
    partial_data[u.partial_at + ((first_query + 1u) * u.splits + group.x) * (2u * OCTS + 1u) + 1u + local] = quad;
  }
  workgroupBarrier();
  gathered[2u * local] = sum2a;
  gathered[2u * local + 1u] = sum2b;
  workgroupBarrier();
  if local < 2u * OCTS && 2u < heads {
    var quad = vec4f();
    for (var s = 0u; s < SHARES; s++) {
      quad += gathered[s * LANES * 2u + local];
    }
    partial_data[u.partial_at + ((first_query + 2u) * u.splits + group.x) * (2u * OCTS + 1u) + 1u + local] = quad;
  }
  workgroupBarrier();
  gathered[2u * local] = sum3a;
  gathered[2u * local + 1u] = sum3b;
  workgroupBarrier();
  if local < 2u * OCTS && 3u < heads {
    var quad = vec4f();
    for (var s = 0u; s < SHARES; s++) {
      quad += gathered[s * LANES * 2u + local];
    }
    partial_data[u.partial_at + ((first_query + 3u) * u.splits + group.x) * (2u * OCTS + 1u) + 1u + local] = quad;
  }
  if local < heads {
    let both = totals[local];
    partial_data[u.partial_at + ((first_query + local) * u.splits + group.x) * (2u * OCTS + 1u)] = vec4f(both, 0.0, 0.0);
  }
}

// ---- the next dispatch

const SUBGROUP = 0u;
struct Uniforms {
  partial_at: u32,
  length_at: u32,
  ended_at: u32,
  out_at: u32,
  lse_at: u32,
  query_heads: u32,
  kv_heads: u32,
  size: u32,
  splits: u32,
  quads: u32,
  rows_at_once: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partial_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> length_data: array<i32>;
@group(0) @binding(3) var<storage, read_write> out_data: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse_data: array<f32>;
// decodeAttention, second dispatch: merges the splits of a query head. A workgroup computes 8 quads of the result; 32
// threads share the splits of each.
// Infinity and NaN. WGSL has no literals for them, and rejects constant expressions that yield them, so they are made
// at run time.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

const THREADS = 256u;
// Sums and maxima over a workgroup of THREADS, in a fixed order. Every thread must call, and gets the result.
var<workgroup> reduced: array<f32, THREADS>;

fn sum_over_threads(x: f32, local: u32) -> f32 {
  reduced[local] = x;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      reduced[local] += reduced[local + half];
    }
  }
  workgroupBarrier();
  let sum = reduced[0];
  workgroupBarrier();
  return sum;
}

fn max_over_threads(x: f32, local: u32) -> f32 {
  reduced[local] = x;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      reduced[local] = max(reduced[local], reduced[local + half]);
    }
  }
  workgroupBarrier();
  let most = reduced[0];
  workgroupBarrier();
  return most;
}

// The number of splits is at most this: see decode-attention.ts.
var<workgroup> weights: array<f32, 1088>;
var<workgroup> sums: array<vec4f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.x;
  let sequence = group.y;
  let kv_head = sequence * u.kv_heads + head / (u.query_heads / u.kv_heads);
  let rows = u32(length_data[u.length_at + kv_head]) + select(0u, 1u, length_data[u.ended_at + sequence] == 0i);
  let splits = (rows + u.rows_at_once - 1u) / u.rows_at_once;
  let query = sequence * u.query_heads + head;
  let stride = u.quads + 1u;
  let base = query * u.splits * stride;
  var most = -infinity();
  for (var s = local; s < splits; s += THREADS) {
    let x = partial_data[u.partial_at + base + s * stride].x;
    weights[s] = x;
    most = max(most, x);
  }
  most = max_over_threads(most, local);
  var total = 0.0;
  for (var s = local; s < splits; s += THREADS) {
    let weight = exp(weights[s] - most);
    weights[s] = weight;
    total += weight * partial_data[u.partial_at + base + s * stride].y;
  }
  total = sum_over_threads(total, local);
  let quad = group.z * 8u + local % 8u;
  var sum = vec4f();
  if quad < u.quads {
    for (var s = local / 8u; s < splits; s += 32u) {
      sum += weights[s] * partial_data[u.partial_at + base + s * stride + 1u + quad];
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
        out_data[u.out_at + query * u.size + 4u * quad + c] = select(0.0, sums[local][c] / total, splits > 0u);
      }
    }
  }
  if local == 0u && group.z == 0u {
    lse_data[u.lse_at + query] = select(-infinity(), most + log(total), splits > 0u);
  }
}
