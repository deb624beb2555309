// sample: the second dispatch has one workgroup for each sequence. It first finds the greatest logit, from the results
// of sample-greatest.wgsl. If the temperature is 0, that is the token. Otherwise thread t weighs a stretch of
// consecutive ids, so that sums run in order of id.
// - top-k: a radix select finds the least logit that stays; of the tokens with exactly this logit, the lowest ids stay.
// - top-p: the same, but the limit is found bit by bit from the weight above it. Sums are fixed trees.
// - min-p: compares with the greatest logit.
// Then it finds the stretch, and in it the token, at which the running sum exceeds u x total.
#include scan
#include select
#include infinity
#include random
#include logit
const THREADS = 256u;
#include reduce
// Whether this sequence is still running, and whether its token is sampled (temperature above 0).
var<workgroup> goes_on: u32;
var<workgroup> draws: u32;
var<workgroup> sums: array<f32, THREADS>;
var<private> first: u32;
var<private> last: u32;
var<private> most: f32;
var<private> temperature: f32;

// Maps a float to a u32 of the same order; -0 counts as 0.
fn key_of(x: f32) -> u32 {
  let bits = select(bitcast<u32>(x), 0u, x == 0.0);
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn weight(x: f32) -> f32 {
  return exp(max(x - most, -1e30) / temperature);
}

fn tally(prefix: u32, shift: u32, local: u32) {
  for (var id = local; id < u.vocabulary; id += THREADS) {
    let key = key_of(logit(id));
    if under(key, prefix, shift) {
      count_digit((key >> shift) & 255u);
    }
  }
}

// The number of tokens in this thread's stretch that have the key.
fn equals(key: u32) -> u32 {
  var count = 0u;
  for (var id = first; id < last; id++) {
    count += select(0u, 1u, key_of(logit(id)) == key);
  }
  return count;
}

// A cut: tokens with a greater key stay, and the first `ties` of those with exactly this key, of which `before` are in
// earlier stretches.
struct Cut {
  key: u32,
  ties: u32,
  before: u32,
}

// The weight of the tokens in this thread's stretch that pass the cut and whose keys are at least `key`.
fn weight_from(key: u32, cut: Cut) -> f32 {
  var sum = 0.0;
  var tied = cut.before;
  for (var id = first; id < last; id++) {
    let x = logit(id);
    let own = key_of(x);
    var stays = own > cut.key;
    if own == cut.key {
      stays = tied < cut.ties;
      tied++;
    }
    if stays && own >= key {
      sum += weight(x);
    }
  }
  return sum;
}

fn greatest(sequence: u32, local: u32) -> u32 {
  var x = -infinity();
  var best = 0u;
  if local < PARTS {
    let part = 2u * (sequence * PARTS + local);
    x = bitcast<f32>($partial[part]);
    best = $partial[part + 1u];
  }
  most = max_over_threads(x, local);
  // The lowest id that has it; 0 if all logits are -Infinity.
  let own = select(0u, 0xffffffffu - best, x == most && x > -infinity());
  let lowest = max_u32(own, local);
  return select(0xffffffffu - lowest, 0u, lowest == 0u);
}

fn max_u32(x: u32, local: u32) -> u32 {
  scanned[local] = x;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      scanned[local] = max(scanned[local], scanned[local + half]);
    }
  }
  workgroupBarrier();
  let result = scanned[0];
  workgroupBarrier();
  return result;
}

fn draw(best: u32, sequence: u32, step: i32, local: u32) -> u32 {
  let top_k = u32(clamp($params[sequence * 5u + 1u], 0.0, 2e9));
  let top_p = $params[sequence * 5u + 2u];
  let min_p = $params[sequence * 5u + 3u];
  let stretch = (u.vocabulary + THREADS - 1u) / THREADS;
  first = min(local * stretch, u.vocabulary);
  last = min(first + stretch, u.vocabulary);
  // No cut yet.
  var cut = Cut(0u, 0u, 0u);
  if top_k > 0u && top_k < u.vocabulary {
    let found = select_greatest(top_k, local);
    cut = Cut(found.x, found.y, before_and_all(equals(found.x), local).x);
  }
  if top_p < 1.0 {
    let aim = top_p * sum_over_threads(weight_from(0u, cut), local);
    // The greatest key from which on the weight reaches the target: all greater ones stay.
    var key = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
      let sum = sum_over_threads(weight_from(key | bit, cut), local);
      if sum >= aim && sum > 0.0 {
        key |= bit;
      }
    }
    let above = sum_over_threads(weight_from(key + 1u, cut), local);
    let tied = equals(key);
    let place = before_and_all(tied, local);
    let one = weight(value_of(key));
    // The most likely token always stays.
    var ties = u32(clamp(ceil((aim - above) / one), 1.0, 2e9));
    if key == cut.key {
      ties = min(ties, cut.ties);
    }
    cut = Cut(key, ties, place.x);
  }
  var sum = 0.0;
  var tied = cut.before;
  for (var id = first; id < last; id++) {
    sum += kept_weight(id, cut, &tied, min_p);
  }
  sums[local] = sum;
  workgroupBarrier();
  if local == 0u {
    var total = 0.0;
    for (var t = 0u; t < THREADS; t++) {
      let own = sums[t];
      sums[t] = total;
      total += own;
    }
    reduced[0] = total;
  }
  workgroupBarrier();
  let aim = uniform_of(bitcast<u32>($seeds[sequence]), bitcast<u32>(step)) * reduced[0];
  workgroupBarrier();
  var token = 0xffffffffu;
  var latest = best;
  var running = sums[local];
  tied = cut.before;
  if running <= aim && running + sum > aim {
    for (var id = first; id < last && token == 0xffffffffu; id++) {
      let own = kept_weight(id, cut, &tied, min_p);
      running += own;
      if own > 0.0 {
        latest = id;
      }
      if running > aim {
        token = id;
      }
    }
    // Rounding may keep the running sum below the stretch's sum.
    token = min(token, latest);
  }
  // If rounding leaves no stretch, choose the most likely token.
  let lowest = 0xffffffffu - max_u32(0xffffffffu - token, local);
  return select(lowest, best, lowest == 0xffffffffu);
}

fn value_of(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

fn kept_weight(id: u32, cut: Cut, tied: ptr<function, u32>, least: f32) -> f32 {
  let x = logit(id);
  let key = key_of(x);
  if key < cut.key {
    return 0.0;
  }
  if key == cut.key {
    *tied += 1u;
    if *tied > cut.ties {
      return 0.0;
    }
  }
  let w = weight(x);
  return select(0.0, w, w >= least);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let sequence = group.x;
  // The value goes through shared memory, which proves to the compiler that the barriers below are uniform.
  if local == 0u {
    goes_on = select(0u, 1u, $ended[sequence] == 0i);
  }
  if workgroupUniformLoad(&goes_on) == 0u {
    return;
  }
  row = sequence * u.vocabulary;
  temperature = $params[sequence * 5u];
  penalty = $params[sequence * 5u + 4u];
  let step = $steps[sequence];
  let best = greatest(sequence, local);
  var token = best;
  if local == 0u {
    draws = select(0u, 1u, temperature != 0.0 && abs(most) < infinity());
  }
  if workgroupUniformLoad(&draws) == 1u {
    token = draw(best, sequence, step, local);
  }
  storageBarrier();
  workgroupBarrier();
  if local != 0u {
    return;
  }
  $tokens[sequence] = i32(token);
  $ids[sequence * u.ring + u32(step) % u.ring] = i32(token);
#if HISTORY
  $history[row + token] += 1i;
#endif
  for (var i = 0u; i < u.stop_count; i++) {
    if $stops[sequence * u.stop_count + i] == i32(token) {
      $ended[sequence] = 1i;
    }
  }
  $steps[sequence] = step + 1i;
}
