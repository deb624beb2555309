// Loads whose only purpose is that memory which will be read soon is on its way: WASM has no prefetch.

export const PAGE: usize = 4096;

/** What was read, where the optimiser must suppose that somebody looks. */
export let touched: i32 = 0;

/**
 * Reads the first lines of four pages, `apart` bytes from one to the next; for those beyond `last`, what is there.
 * Machines read ahead within a page but not into the next one; the four wait for memory at the same time, and four
 * lines set the reading ahead going.
 */
export function touchPages(page: usize, apart: usize, last: usize): void {
  const a = min(page, last);
  const b = min(page + apart, last);
  const c = min(page + 2 * apart, last);
  const d = min(page + 3 * apart, last);
  let all: i32 = 0;
  all |= load<i32>(a) | load<i32>(b) | load<i32>(c) | load<i32>(d);
  all |= load<i32>(a, 64) | load<i32>(b, 64) | load<i32>(c, 64) | load<i32>(d, 64);
  all |= load<i32>(a, 128) | load<i32>(b, 128) | load<i32>(c, 128) | load<i32>(d, 128);
  all |= load<i32>(a, 192) | load<i32>(b, 192) | load<i32>(c, 192) | load<i32>(d, 192);
  touched = all;
}
