import { Apportion } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { keyOf } from "./lib/select";

// The least key that gets in is found bit by bit: the greatest threshold under which the heads, each between its
// limits, still hold enough rows. Of the rows on the threshold the lowest positions get in, found in the same way.
// Scratch: the key of every row of the sequence, then the counts of its heads.

let sequence: i32 = 0;
let args: usize = 0;

/** Rows of head h that are held. */
// @ts-ignore: decorator
@inline
function held(h: i32): i32 { return min(load<i32>(Apportion.length(args) + (h << 2)), Apportion.capacity(args)); }

/** Rows that head h gets if `wanted` of them are good enough. */
// @ts-ignore: decorator
@inline
function clamped(h: i32, wanted: i32): i32 {
  const limits = Apportion.limits(args) + sequence * 12;
  const least = load<i32>(limits, 4);
  return min(min(max(wanted, least), max(load<i32>(limits, 8), least)), held(h));
}

/** Rows with a key of at least `threshold`; of those with `threshold` itself only positions below `bound` count. */
function counted(keys: usize, head: i32, threshold: u32, bound: i64): i32 {
  const h = sequence * Apportion.kvHeads(args) + head;
  const n = held(h);
  const own = keys + ((<usize>head * Apportion.capacity(args)) << 2);
  const positions = Apportion.positions(args) + (load<i32>(Apportion.offset(args) + (h << 2)) << 2);
  let count = 0;
  for (let row = 0; row < n; row++) {
    const key = load<u32>(own + (row << 2));
    if (key > threshold || (key == threshold && <i64>load<i32>(positions + (row << 2)) < bound)) count++;
  }
  return count;
}

/** Rows that all heads get together. */
function total(keys: usize, threshold: u32, bound: i64): i64 {
  const kvHeads = Apportion.kvHeads(args);
  let sum: i64 = 0;
  for (let head = 0; head < kvHeads; head++) {
    sum += clamped(sequence * kvHeads + head, counted(keys, head, threshold, bound));
  }
  return sum;
}

const EVERYTHING: i64 = 1 << 32;

function apportionOne(s: i32): void {
  sequence = s;
  const kvHeads = Apportion.kvHeads(args);
  const capacity = Apportion.capacity(args);
  const rows = <i64>load<i32>(Apportion.limits(args) + s * 12);
  const keys = threadScratch();
  for (let head = 0; head < kvHeads; head++) {
    const h = s * kvHeads + head;
    const scores = Apportion.scores(args) + ((<usize>h * capacity) << 2);
    const own = keys + ((<usize>head * capacity) << 2);
    const n = held(h);
    for (let row = 0; row < n; row++) store<u32>(own + (row << 2), keyOf(load<f32>(scores + (row << 2))));
  }
  let threshold: u32 = 0;
  for (let bit: u32 = 0x80000000; bit != 0; bit >>= 1) {
    if (total(keys, threshold | bit, EVERYTHING) >= rows) threshold |= bit;
  }
  // Positions below `bound` get in; the least bound under which enough do.
  let low: i64 = -EVERYTHING;
  let bound: i64 = EVERYTHING;
  if (total(keys, threshold, low) >= rows) bound = low;
  while (bound - low > 1) {
    const middle = (low + bound) >> 1;
    if (total(keys, threshold, middle) >= rows) bound = middle;
    else low = middle;
  }
  // At the last position, several heads may have a row: lower heads first.
  let over = total(keys, threshold, bound) - rows;
  for (let head = kvHeads - 1; head >= 0; head--) {
    const h = s * kvHeads + head;
    let keep = clamped(h, counted(keys, head, threshold, bound));
    if (over > 0 && keep > clamped(h, counted(keys, head, threshold, bound - 1))) {
      keep--;
      over--;
    }
    store<i32>(Apportion.keep(args) + (h << 2), keep);
  }
}

export function apportion(a: usize): void {
  args = a;
  const sequences = Apportion.sequences(a);
  for (let s = claim(); s < sequences; s = claim()) apportionOne(s);
}
