// Memory that will be read soon is brought near while other rows are computed with. WASM has no prefetch, but nothing
// waits for a load whose result nobody needs; and as it may trap, no optimiser drops it. Eight streams a line at a
// time: a machine reads ahead in each of them, and has the longer for it the slower they advance.

let at: usize = 0;
let end: usize = 0;
let apart: usize = 0;

/** What `ahead` reads from here on: whole lines only; none after 0 bytes. */
export function lookAhead(from: usize, bytes: usize): void {
  at = from;
  apart = (bytes >> 3) & ~63;
  end = from + apart;
}

/** Bytes that one call of `ahead` reads. */
export const AHEAD: usize = 512;

/** Reads the next line of each stream while some are left. */
// @ts-ignore: decorator
@inline
export function ahead(): void {
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
