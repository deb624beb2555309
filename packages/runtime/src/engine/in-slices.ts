/** The longest stretch of arithmetic, in milliseconds, before the caller's thread is released. */
const slice = 16;

/**
 * Runs arithmetic that yields after every small piece, and releases the thread at intervals, so that timers, events and
 * an abort get through. Work of less than a slice runs at once. Rejects with the signal's reason once it is aborted.
 */
export async function inSlices<T>(work: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
  let until = performance.now() + slice;
  while (true) {
    const next = work.next();
    if (next.done) return next.value;
    if (performance.now() < until) continue;
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    until = performance.now() + slice;
  }
}
