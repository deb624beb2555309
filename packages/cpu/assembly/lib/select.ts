// Radix selection and sorting of u32 keys.

/** A key in the order of scores. NaN has the least key; zeros of both signs have the same. */
// @ts-ignore: decorator
@inline
export function keyOf(score: f32): u32 {
  if (score != score) return 0;
  const bits = reinterpret<u32>(score + 0);
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000);
}

/** How many keys are greater than the result of `kthGreatest`. */
export let greater: i32 = 0;

/** The k-th greatest (from 1) of `count` keys at `keys`, digit by digit from the top. `histogram` holds 1 KiB. */
export function kthGreatest(keys: usize, count: i32, k: i32, histogram: usize): u32 {
  let prefix: u32 = 0;
  let mask: u32 = 0;
  greater = 0;
  for (let shift = 24; shift >= 0; shift -= 8) {
    memory.fill(histogram, 0, 1024);
    for (let i = 0; i < count; i++) {
      const key = load<u32>(keys + (i << 2));
      if ((key & mask) != prefix) continue;
      const at = histogram + (((key >> shift) & 255) << 2);
      store<i32>(at, load<i32>(at) + 1);
    }
    let digit: u32 = 255;
    for (; digit > 0; digit--) {
      const here = load<i32>(histogram + (digit << 2));
      if (greater + here >= k) break;
      greater += here;
    }
    prefix |= digit << shift;
    mask |= <u32>255 << shift;
  }
  return prefix;
}

/**
 * Sorts `count` pairs of a u32 key and a word by key, stably, least digit first, in place. `spare` holds as many pairs.
 */
export function sortPairs(pairs: usize, spare: usize, count: i32, histogram: usize): void {
  for (let shift = 0; shift < 32; shift += 8) {
    memory.fill(histogram, 0, 1024);
    for (let i = 0; i < count; i++) {
      const at = histogram + (((load<u32>(pairs + (i << 3)) >> shift) & 255) << 2);
      store<i32>(at, load<i32>(at) + 1);
    }
    let before = 0;
    for (let digit = 0; digit < 256; digit++) {
      const here = load<i32>(histogram + (digit << 2));
      store<i32>(histogram + (digit << 2), before);
      before += here;
    }
    for (let i = 0; i < count; i++) {
      const pair = load<u64>(pairs + (i << 3));
      const at = histogram + (((<u32>pair >> shift) & 255) << 2);
      const place = load<i32>(at);
      store<i32>(at, place + 1);
      store<u64>(spare + (place << 3), pair);
    }
    const other = pairs;
    pairs = spare;
    spare = other;
  }
}
