export interface SliceOptions {
  /** Ends the work between two slices: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds of work after which the thread is given free. */
const slice = 12;

/** Runs a generator that yields often in slices, between which the thread is free. */
export async function sliced<Result>(steps: Generator<void, Result>, { signal }: SliceOptions = {}): Promise<Result> {
  signal?.throwIfAborted();
  let since = performance.now();
  while (true) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - since < slice) continue;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
    since = performance.now();
  }
}
