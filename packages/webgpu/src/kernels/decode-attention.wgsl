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
#include infinity
struct Oct {
  a: vec4f,
  b: vec4f,
}
#if SLOT
#include rotation keys
#else
#include oct keys
#endif
#include oct values
const THREADS = 128u;
const TEAMS = THREADS / LANES;
const TILE = 128u;
// Loads of one team for a tile: it reads LOADS rows at once.
const PASSES = TILE / TEAMS;
#if SUBGROUP
// Partial sums of values that are added in shared memory.
const SHARES = THREADS / 32u;
#else
const SHARES = TEAMS;
var<workgroup> pieces: array<f32, HEADS * THREADS>;
var<workgroup> reduced: array<f32, THREADS>;
#endif
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
      numbers.a[c] = u.scale * $qkv[row * u.size + 8u * n + c];
    }
    if used && 8u * n + 4u + c < u.size {
      numbers.b[c] = u.scale * $qkv[row * u.size + 8u * n + 4u + c];
    }
  }
  return numbers;
}

#if SLOT
fn turned_oct(row: u32, n: u32) -> Oct {
  let position = bitcast<i32>($cells[u.arena_rows + row]);
  var numbers = Oct();
  for (var c = 0u; c < 4u; c++) {
    if 8u * n + c < u.size {
      numbers.a[c] = keys_turned(row, 8u * n + c, position);
    }
    if 8u * n + 4u + c < u.size {
      numbers.b[c] = keys_turned(row, 8u * n + 4u + c, position);
    }
  }
  return numbers;
}
#endif

fn capped(x: f32) -> f32 {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, -15.0, 15.0));
  }
  return x;
}

// The maximum over the 32 threads of a query head.
fn max_of_head(x: f32, local: u32) -> f32 {
#if SUBGROUP
  return subgroupMax(x);
#else
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
#endif
}

fn sum_of_head(x: f32, local: u32) -> f32 {
#if SUBGROUP
  return subgroupAdd(x);
#else
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
#endif
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
  let rows = u32($length[kv_head]) + select(0u, 1u, $ended[sequence] == 0i);
  let first = group.x * u.tiles * TILE;
#if !SINGLE
  if first >= rows {
    return;
  }
#endif
  let end = min(rows, first + u.tiles * TILE);
  let start = u32($offset[kv_head]);
  let qkv_row = sequence * (u.query_heads + 2u * u.kv_heads) + first_head;
#repeat h HEADS
  let query{h} = query_oct(qkv_row + {h}u, lane, {h}u < heads);
  var sum{h}a = vec4f();
  var sum{h}b = vec4f();
#end
  // The maximum and sum of query head `own`; 32 threads, or twice as many, hold the same ones.
  let own = local / 32u % HEADS;
  var most = -infinity();
  var total = 0.0;
#if AHEAD
#repeat n LOADS
  var next{n} = keys_raw(start + min(first + {n}u * TEAMS + team, max(end, 1u) - 1u), lane);
#end
#endif
  for (var tile = first; tile < end; tile += TILE) {
    for (var step = 0u; step < PASSES; step += LOADS) {
#repeat n LOADS
      let at{n} = (step + {n}u) * TEAMS + team;
#if SLOT
      let k{n} = turned_oct(start + min(tile + at{n}, end - 1u), lane);
#else
#if AHEAD
      let raw{n} = next{n};
#else
      let raw{n} = keys_raw(start + min(tile + at{n}, end - 1u), lane);
#endif
#endif
#end
#if AHEAD
      if step + LOADS < PASSES {
#repeat n LOADS
        next{n} = keys_raw(start + min(tile + at{n} + LOADS * TEAMS, end - 1u), lane);
#end
      } else {
#repeat n LOADS
        next{n} = values_raw(start + min(tile + {n}u * TEAMS + team, end - 1u), lane);
#end
      }
#endif
#repeat n LOADS
      {
#if SLOT
        let k = k{n};
#else
        let k = keys_oct(raw{n});
#endif
        let seen = tile + at{n} < end;
#repeat h HEADS
        var x{h} = dot(query{h}.a, k.a) + dot(query{h}.b, k.b);
#end
#if SUBGROUP
#if PARTED
        // Lanes divide the heads among themselves, so that fewer numbers are exchanged.
#if HEADS == 4
        let upper = (lane & 1u) == 1u;
        let sent = select(vec2f(x2, x3), vec2f(x0, x1), upper);
        let pair = select(vec2f(x0, x1), vec2f(x2, x3), upper) + subgroupShuffleXor(sent, 1u);
        let odd = (lane & 2u) == 2u;
        var x = select(pair.x, pair.y, odd) + subgroupShuffleXor(select(pair.y, pair.x, odd), 2u);
        let head = (lane & 1u) * 2u + ((lane >> 1u) & 1u);
#repeat s PARTED_STEPS
        x += subgroupShuffleXor(x, 4u << {s}u);
#end
#else
        let odd = (lane & 1u) == 1u;
        var x = select(x0, x1, odd) + subgroupShuffleXor(select(x1, x0, odd), 1u);
        let head = lane & 1u;
#repeat s PARTED_STEPS
        x += subgroupShuffleXor(x, 2u << {s}u);
#end
#endif
        if lane < HEADS {
          logits[head * TILE + at{n}] = select(-infinity(), capped(x), seen);
        }
#else
#repeat s LANE_STEPS
#repeat h HEADS
        x{h} += subgroupShuffleXor(x{h}, 1u << {s}u);
#end
#end
        if lane == 0u {
#repeat h HEADS
          logits[{h}u * TILE + at{n}] = select(-infinity(), capped(x{h}), seen);
#end
        }
#endif
#else
#repeat h HEADS
        pieces[{h}u * THREADS + local] = x{h};
#end
        workgroupBarrier();
        for (var i = local; i < HEADS * TEAMS; i += THREADS) {
          var x = 0.0;
          for (var l = 0u; l < LANES; l++) {
            x += pieces[i / TEAMS * THREADS + i % TEAMS * LANES + l];
          }
          let row = (step + {n}u) * TEAMS + i % TEAMS;
          logits[i / TEAMS * TILE + row] = select(-infinity(), capped(x), tile + row < end);
        }
        workgroupBarrier();
#endif
      }
#end
    }
    workgroupBarrier();
#repeat i 4
    let logit{i} = logits[own * TILE + {i}u * 32u + local % 32u];
#end
    let now = max(most, max_of_head(max(max(logit0, logit1), max(logit2, logit3)), local));
#repeat i 4
    let weight{i} = exp(logit{i} - now);
#end
    let keep = exp(most - now);
    total = total * keep + sum_of_head(weight0 + weight1 + weight2 + weight3, local);
    most = now;
    if local / 32u < HEADS {
#repeat i 4
      weights[own * TILE + {i}u * 32u + local % 32u] = weight{i};
#end
      if local % 32u == 0u {
        kept[own] = keep;
      }
    }
    workgroupBarrier();
#repeat h HEADS
    {
      let keep = kept[{h}];
      sum{h}a *= keep;
      sum{h}b *= keep;
    }
#end
    for (var step = 0u; step < PASSES; step += LOADS) {
#repeat n LOADS
      let at{n} = (step + {n}u) * TEAMS + team;
#if AHEAD
      let raw{n} = next{n};
#else
      let raw{n} = values_raw(start + min(tile + at{n}, end - 1u), lane);
#endif
#end
#if AHEAD
      if step + LOADS < PASSES {
#repeat n LOADS
        next{n} = values_raw(start + min(tile + at{n} + LOADS * TEAMS, end - 1u), lane);
#end
      } else {
#repeat n LOADS
        next{n} = keys_raw(start + min(tile + TILE + {n}u * TEAMS + team, end - 1u), lane);
#end
      }
#endif
#repeat n LOADS
      {
        let v = values_oct(raw{n});
#repeat h HEADS
        {
          let weight = weights[{h}u * TILE + at{n}];
          sum{h}a += weight * v.a;
          sum{h}b += weight * v.b;
        }
#end
      }
#end
    }
    workgroupBarrier();
  }
  if local % 32u == 0u && local / 32u < HEADS {
    totals[own] = vec2f(most, total);
  }
#if SUBGROUP
#repeat s TEAM_STEPS
#repeat h HEADS
  sum{h}a += subgroupShuffleXor(sum{h}a, LANES << {s}u);
  sum{h}b += subgroupShuffleXor(sum{h}b, LANES << {s}u);
#end
#end
#endif
#repeat h HEADS
  workgroupBarrier();
#if SUBGROUP
  if local % 32u < LANES {
    let place = (local / 32u * LANES + lane) * 2u;
    gathered[place] = sum{h}a;
    gathered[place + 1u] = sum{h}b;
  }
#else
  gathered[2u * local] = sum{h}a;
  gathered[2u * local + 1u] = sum{h}b;
#endif
  workgroupBarrier();
  if local < 2u * OCTS && {h}u < heads {
    var quad = vec4f();
    for (var s = 0u; s < SHARES; s++) {
      quad += gathered[s * LANES * 2u + local];
    }
#if SINGLE
    for (var c = 0u; c < 4u; c++) {
      if 4u * local + c < u.size {
        $out[(first_query + {h}u) * u.size + 4u * local + c] = select(0.0, quad[c] / totals[{h}].y, rows > 0u);
      }
    }
#else
    $partial[((first_query + {h}u) * u.splits + group.x) * (2u * OCTS + 1u) + 1u + local] = quad;
#endif
  }
#end
  if local < heads {
    let both = totals[local];
#if SINGLE
    $lse[first_query + local] = select(-infinity(), both.x + log(both.y), rows > 0u);
#else
    $partial[((first_query + local) * u.splits + group.x) * (2u * OCTS + 1u)] = vec4f(both, 0.0, 0.0);
#endif
  }
}
