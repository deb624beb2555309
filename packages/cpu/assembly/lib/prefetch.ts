// Prefetching: memory that will be read soon is loaded into the cache while other rows are computed with. WASM has no
// prefetch instruction, but nothing waits for a load whose result is not used, and because a load may trap, no
// optimiser drops it.

/** Bytes of a page of the operating system: hardware prefetchers stop at its end. */
export const PAGE: usize = 4096;

/** Bytes that one call of `prefetchNext` reads. */
export const PREFETCH_BYTES: usize = 512;

let at: usize = 0;
let end: usize = 0;
let apart: usize = 0;

/**
 * Sets what `prefetchNext` reads from here on: whole lines of `bytes` bytes from `from`, none for 0. Eight streams
 * advance a line at a time, because hardware prefetches in each of them, and has more time the slower they advance.
 */
export function startPrefetch(from: usize, bytes: usize): void {
  at = from;
  apart = (bytes >> 3) & ~63;
  end = from + apart;
}

/** Reads the next line of each stream, while some are left. */
// @ts-ignore: decorator
@inline
export function prefetchNext(): void {
  const a = at;
  if (a >= end) return;
  at = a + 64;
  const b = a + apart;
  const c = a + (apart << 1);
  const d = b + (apart << 1);
  const half = apart << 2;
  load<i32>(a);
  load<i32>(b);
  load<i32>(c);
  load<i32>(d);
  load<i32>(a + half);
  load<i32>(b + half);
  load<i32>(c + half);
  load<i32>(d + half);
}

/** What was prefetched. Exported, so that the optimiser must suppose that it is used. */
export let prefetched: i32 = 0;

/**
 * Reads the first lines of four pages, `apart` bytes from one to the next; pages beyond `last` count as `last`.
 * Hardware prefetches within a page but not into the next one. The four pages wait for memory at the same time, and
 * four lines start the hardware's prefetching.
 */
export function prefetchPages(page: usize, apart: usize, last: usize): void {
  const a = min(page, last);
  const b = min(page + apart, last);
  const c = min(page + 2 * apart, last);
  const d = min(page + 3 * apart, last);
  let all: i32 = 0;
  all |= load<i32>(a) | load<i32>(b) | load<i32>(c) | load<i32>(d);
  all |= load<i32>(a, 64) | load<i32>(b, 64) | load<i32>(c, 64) | load<i32>(d, 64);
  all |= load<i32>(a, 128) | load<i32>(b, 128) | load<i32>(c, 128) | load<i32>(d, 128);
  all |= load<i32>(a, 192) | load<i32>(b, 192) | load<i32>(c, 192) | load<i32>(d, 192);
  prefetched = all;
}
