const PARTS = 64u;
struct Uniforms {
  logits_at: u32,
  params_at: u32,
  history_at: u32,
  partial_at: u32,
  vocabulary: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> logits_data: array<f32>;
@group(0) @binding(2) var<storage, read> params_data: array<f32>;
@group(0) @binding(3) var<storage, read> history_data: array<i32>;
@group(0) @binding(4) var<storage, read_write> partial_data: array<u32>;
// sample: the first dispatch finds the greatest logit of each of PARTS stretches of a sequence's tokens, and the lowest
// id that has it.
const THREADS = 256u;
// Infinity and NaN. WGSL has no literals for them, and rejects constant expressions that yield them, so they are made
// at run time.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// A logit as sampling uses it, of the sequence whose logits start at `row`.
var<private> row: u32;
var<private> penalty: f32;

fn logit(id: u32) -> f32 {
  var x = logits_data[u.logits_at + row + id];
  if history_data[u.history_at + row + id] > 0i {
    x = select(x * penalty, x / penalty, x > 0.0);
  }
  if is_nan(x) {
    return -infinity();
  }
  return x;
}

var<workgroup> values: array<f32, THREADS>;
var<workgroup> places: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let sequence = group.y;
  row = sequence * u.vocabulary;
  penalty = params_data[u.params_at + sequence * 5u + 4u];
  let stretch = (u.vocabulary + PARTS - 1u) / PARTS;
  let first = group.x * stretch;
  let last = min(first + stretch, u.vocabulary);
  var most = -infinity();
  var best = first;
  for (var id = first + local; id < last; id += THREADS) {
    let x = logit(id);
    if x > most {
      most = x;
      best = id;
    }
  }
  values[local] = most;
  places[local] = best;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      let other = values[local + half];
      if other > values[local] || (other == values[local] && places[local + half] < places[local]) {
        values[local] = other;
        places[local] = places[local + half];
      }
    }
  }
  if local == 0u {
    partial_data[u.partial_at + 2u * (sequence * PARTS + group.x)] = bitcast<u32>(values[0]);
    partial_data[u.partial_at + 2u * (sequence * PARTS + group.x) + 1u] = places[0];
  }
}

// ---- the next dispatch

const PARTS = 64u;
struct Uniforms {
  logits_at: u32,
  params_at: u32,
  seeds_at: u32,
  stops_at: u32,
  history_at: u32,
  steps_at: u32,
  ended_at: u32,
  tokens_at: u32,
  ids_at: u32,
  partial_at: u32,
  vocabulary: u32,
  ring: u32,
  stop_count: u32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> logits_data: array<f32>;
@group(0) @binding(2) var<storage, read> params_data: array<f32>;
@group(0) @binding(3) var<storage, read> seeds_data: array<i32>;
@group(0) @binding(4) var<storage, read> stops_data: array<i32>;
@group(0) @binding(5) var<storage, read_write> history_data: array<i32>;
@group(0) @binding(6) var<storage, read_write> steps_data: array<i32>;
@group(0) @binding(7) var<storage, read_write> ended_data: array<i32>;
@group(0) @binding(8) var<storage, read_write> tokens_data: array<i32>;
@group(0) @binding(9) var<storage, read_write> ids_data: array<i32>;
@group(0) @binding(10) var<storage, read> partial_data: array<u32>;
// sample: the second dispatch has one workgroup for each sequence. It first finds the greatest logit, from the results
// of sample-greatest.wgsl. If the temperature is 0, that is the token. Otherwise thread t weighs a stretch of
// consecutive ids, so that sums run in order of id.
// - top-k: a radix select finds the least logit that stays; of the tokens with exactly this logit, the lowest ids stay.
// - top-p: the same, but the limit is found bit by bit from the weight above it. Sums are fixed trees.
// - min-p: compares with the greatest logit.
// Then it finds the stretch, and in it the token, at which the running sum exceeds u x total.
// The sum over the threads before this one, and the sum over all threads. Every thread must call.
var<workgroup> scanned: array<u32, 256>;
fn before_and_all(x: u32, local: u32) -> vec2u {
  scanned[local] = x;
  workgroupBarrier();
  for (var step = 1u; step < 256u; step *= 2u) {
    var lower = 0u;
    if local >= step {
      lower = scanned[local - step];
    }
    workgroupBarrier();
    scanned[local] += lower;
    workgroupBarrier();
  }
  let result = vec2u(scanned[local] - x, scanned[255]);
  workgroupBarrier();
  return result;
}

// Radix select: the key of the `rank`-th greatest of the keys that `tally` counts, 8 bits at a time, from histograms in
// shared memory. It counts integers, so the result is the same every time. The kernel defines `fn tally(prefix: u32,
// shift: u32, local: u32)`, which calls `count_digit((key >> shift) & 255u)` for every key whose bits above shift + 8
// equal those of prefix.
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> found: vec2u;

fn count_digit(digit: u32) {
  atomicAdd(&histogram[digit], 1u);
}

// Whether the bits of a key above the 8 at `shift` equal those of prefix.
fn under(key: u32, prefix: u32, shift: u32) -> bool {
  return shift == 24u || (key >> (shift + 8u)) == (prefix >> (shift + 8u));
}

// x: the key. y: how many keys equal to it are among the `rank` greatest. rank is from 1 to the number of keys.
fn select_greatest(rank: u32, local: u32) -> vec2u {
  var prefix = 0u;
  var left = rank;
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    atomicStore(&histogram[local], 0u);
    workgroupBarrier();
    tally(prefix, shift, local);
    workgroupBarrier();
    // The thread whose digit contains the rank; keys of greater digits come before it.
    let own = atomicLoad(&histogram[255u - local]);
    let above = before_and_all(own, local).x;
    if above < left && left <= above + own {
      found = vec2u(255u - local, left - above);
    }
    workgroupBarrier();
    prefix |= workgroupUniformLoad(&found).x << shift;
    left = workgroupUniformLoad(&found).y;
  }
  return vec2u(prefix, left);
}

// Infinity and NaN. WGSL has no literals for them, and rejects constant expressions that yield them, so they are made
// at run time.
fn infinity() -> f32 {
  var bits = 0x7f800000u;
  return bitcast<f32>(bits);
}

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// uniform(seed, counter) in [0, 1), the same bits on every backend: "lowbias32" of Chris Wellons' hash-prospector.
fn mix32(x: u32) -> u32 {
  var h = x;
  h = (h ^ (h >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return h ^ (h >> 16u);
}

fn uniform_of(seed: u32, counter: u32) -> f32 {
  return f32(mix32(counter ^ mix32(seed + 0x9e3779b9u)) >> 8u) * (1.0 / 16777216.0);
}

// A logit as sampling uses it, of the sequence whose logits start at `row`.
var<private> row: u32;
var<private> penalty: f32;

fn logit(id: u32) -> f32 {
  var x = logits_data[u.logits_at + row + id];
  if history_data[u.history_at + row + id] > 0i {
    x = select(x * penalty, x / penalty, x > 0.0);
  }
  if is_nan(x) {
    return -infinity();
  }
  return x;
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
    x = bitcast<f32>(partial_data[u.partial_at + part]);
    best = partial_data[u.partial_at + part + 1u];
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
  let top_k = u32(clamp(params_data[u.params_at + sequence * 5u + 1u], 0.0, 2e9));
  let top_p = params_data[u.params_at + sequence * 5u + 2u];
  let min_p = params_data[u.params_at + sequence * 5u + 3u];
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
  let aim = uniform_of(bitcast<u32>(seeds_data[u.seeds_at + sequence]), bitcast<u32>(step)) * reduced[0];
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
    goes_on = select(0u, 1u, ended_data[u.ended_at + sequence] == 0i);
  }
  if workgroupUniformLoad(&goes_on) == 0u {
    return;
  }
  row = sequence * u.vocabulary;
  temperature = params_data[u.params_at + sequence * 5u];
  penalty = params_data[u.params_at + sequence * 5u + 4u];
  let step = steps_data[u.steps_at + sequence];
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
  tokens_data[u.tokens_at + sequence] = i32(token);
  ids_data[u.ids_at + sequence * u.ring + u32(step) % u.ring] = i32(token);
  history_data[u.history_at + row + token] += 1i;
  for (var i = 0u; i < u.stop_count; i++) {
    if stops_data[u.stops_at + sequence * u.stop_count + i] == i32(token) {
      ended_data[u.ended_at + sequence] = 1i;
    }
  }
  steps_data[u.steps_at + sequence] = step + 1i;
}
