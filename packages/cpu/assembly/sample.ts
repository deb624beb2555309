import { Sample } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { uniform } from "./lib/random";

// Top-p: arXiv 1904.09751. Min-p: arXiv 2407.01082. Penalty: CTRL, arXiv 1909.05858. In f64, like the reference.

let logits: usize = 0; // f64 [vocabulary]

// @ts-ignore: decorator
@inline
function logit(id: i32): f64 { return load<f64>(logits + (id << 3)); }

/** Whether token `a` comes before `b`: the greater logit, then the lower id. */
// @ts-ignore: decorator
@inline
function before(a: i32, b: i32): bool { return logit(a) > logit(b) || (logit(a) == logit(b) && a < b); }

/** Restores the heap of ids, first on top, below place `i`. */
function sift(heap: usize, i: i32, count: i32): void {
  const id = load<i32>(heap + (i << 2));
  for (;;) {
    let child = 2 * i + 1;
    if (child >= count) break;
    if (child + 1 < count && before(load<i32>(heap + (child << 2), 4), load<i32>(heap + (child << 2)))) child++;
    if (!before(load<i32>(heap + (child << 2)), id)) break;
    store<i32>(heap + (i << 2), load<i32>(heap + (child << 2)));
    i = child;
  }
  store<i32>(heap + (i << 2), id);
}

/** Writes the logits after the penalty and returns the token of the greatest. */
function penalise(x: usize, history: usize, penalty: f64, vocabulary: i32): i32 {
  let best = 0;
  for (let id = 0; id < vocabulary; id++) {
    let value = <f64>load<f32>(x + (id << 2));
    if (history != 0 && load<i32>(history + (id << 2)) > 0) value = value > 0 ? value / penalty : value * penalty;
    if (value != value) value = -Infinity;
    store<f64>(logits + (id << 3), value);
    if (value > logit(best)) best = id;
  }
  return best;
}

/** The token of the greatest logit, without a penalty. */
function greatest(x: usize, vocabulary: i32): i32 {
  let best = 0;
  let most: f32 = -Infinity;
  for (let id = 0; id < vocabulary; id++) {
    const value = load<f32>(x + (id << 2));
    if (value > most) {
      most = value;
      best = id;
    }
  }
  return best;
}

/** Replaces the logits by weights; those cut by topK and topP become 0. */
function weigh(best: i32, vocabulary: i32, temperature: f64, topK: i32, topP: f64): void {
  const most = logit(best);
  const heap = logits + (<usize>vocabulary << 3);
  const limit = topK > 0 ? min(topK, vocabulary) : vocabulary;
  if (limit == vocabulary && topP >= 1) {
    for (let id = 0; id < vocabulary; id++) {
      store<f64>(logits + (id << 3), NativeMath.exp((logit(id) - most) / temperature));
    }
    return;
  }
  for (let id = 0; id < vocabulary; id++) store<i32>(heap + (id << 2), id);
  for (let i = (vocabulary >> 1) - 1; i >= 0; i--) sift(heap, i, vocabulary);
  let total: f64 = 0;
  if (limit == vocabulary) {
    for (let id = 0; id < vocabulary; id++) total += NativeMath.exp((logit(id) - most) / temperature);
  }
  // The likeliest tokens are popped from the heap into the places behind it.
  let taken = 0;
  let mass: f64 = 0;
  while (taken < limit) {
    if (limit == vocabulary && taken > 0 && !(mass < topP * total)) break;
    const id = load<i32>(heap);
    taken++;
    const left = vocabulary - taken;
    store<i32>(heap, load<i32>(heap + (left << 2)));
    store<i32>(heap + (left << 2), id);
    if (left > 0) sift(heap, 0, left);
    const weight = NativeMath.exp((logit(id) - most) / temperature);
    if (limit == vocabulary) mass += weight;
    else total += weight;
  }
  for (let i = 0; i < vocabulary - taken; i++) store<f64>(logits + (load<i32>(heap + (i << 2)) << 3), 0);
  if (limit == vocabulary) mass = 0;
  let open = true;
  for (let rank = 0; rank < taken; rank++) {
    const at = logits + (load<i32>(heap + ((vocabulary - 1 - rank) << 2)) << 3);
    const weight = NativeMath.exp((load<f64>(at) - most) / temperature);
    if (limit < vocabulary) open = rank == 0 || topP >= 1 || mass < topP * total;
    if (open) mass += weight;
    store<f64>(at, open ? weight : 0);
  }
}

function choose(a: usize, s: i32, step: i32): i32 {
  const vocabulary = Sample.vocabulary(a);
  const params = Sample.params(a) + s * 20;
  const temperature = <f64>load<f32>(params);
  const minP = <f64>load<f32>(params, 12);
  const penalty = <f64>load<f32>(params, 16);
  const row = (<usize>s * <usize>vocabulary) << 2;
  if (temperature == 0 && (!Sample.history(a) || penalty == 1)) return greatest(Sample.logits(a) + row, vocabulary);
  const best = penalise(Sample.logits(a) + row, Sample.history(a) ? Sample.historyAt(a) + row : 0, penalty, vocabulary);
  if (temperature == 0 || !isFinite(logit(best))) return best;
  weigh(best, vocabulary, temperature, <i32>load<f32>(params, 4), <f64>load<f32>(params, 8));
  // The likeliest weighs 1.
  let total: f64 = 0;
  for (let id = 0; id < vocabulary; id++) if (logit(id) >= minP) total += logit(id);
  const aim = <f64>uniform(load<u32>(Sample.seeds(a) + (s << 2)), step) * total;
  let running: f64 = 0;
  for (let id = 0; id < vocabulary; id++) {
    if (logit(id) >= minP) running += logit(id);
    if (running > aim) return id;
  }
  return best;
}

export function sample(a: usize): void {
  const sequences = Sample.sequences(a);
  const stopCount = Sample.stopCount(a);
  logits = threadScratch();
  for (let s = claim(); s < sequences; s = claim()) {
    if (load<i32>(Sample.ended(a) + (s << 2)) != 0) continue;
    const step = load<i32>(Sample.steps(a) + (s << 2));
    const token = choose(a, s, step);
    store<i32>(Sample.tokens(a) + (s << 2), token);
    store<i32>(Sample.ids(a) + ((s * Sample.ring(a) + step % Sample.ring(a)) << 2), token);
    if (Sample.history(a)) {
      const at = Sample.historyAt(a) + ((<usize>s * <usize>Sample.vocabulary(a) + token) << 2);
      store<i32>(at, load<i32>(at) + 1);
    }
    for (let i = 0; i < stopCount; i++) {
      if (load<i32>(Sample.stops(a) + ((s * stopCount + i) << 2)) == token) store<i32>(Sample.ended(a) + (s << 2), 1);
    }
    store<i32>(Sample.steps(a) + (s << 2), step + 1);
  }
}
