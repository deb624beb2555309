/** Milliseconds of work after which timers, input and network events of the caller get their turn. */
const longestStretch = 12;

/** Resolves in a new task, after the events that wait already: a promise alone would run before them. */
export function nextTask(): Promise<void> {
  if (typeof setImmediate === "function") return new Promise((resolve) => void setImmediate(resolve));
  // A page: timers of 0 ms are delayed by 4 ms when nested, messages are not.
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Cuts long work on the caller's thread into stretches: call {@link EventLoop.breathe} between small pieces of it. */
export class EventLoop {
  #since = performance.now();
  #task: Promise<void> | undefined;

  /** Resolves at once, or after a new task if the work has run for about 12 ms. Several workers may share one. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#since < longestStretch) return;
    this.#task ??= nextTask().then(() => {
      this.#since = performance.now();
      this.#task = undefined;
    });
    await this.#task;
  }
}

/** Runs a generator to its end; the event loop gets its turns where it yields. Resolves to what it returns. */
export async function inStretches<T>(work: Generator<void, T>): Promise<T> {
  const loop = new EventLoop();
  for (let step = work.next(); ; step = work.next()) {
    if (step.done) return step.value;
    await loop.breathe();
  }
}
