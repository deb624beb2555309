// The workers: all run the same commands, each its share, with a barrier after every phase. Shared words are in low
// memory, on separate cache lines; `src/layout.ts` has the same addresses.

const SUBMITTED: usize = 64; // Batches handed over by the host.
const COMPLETED: usize = 128; // Batches done.
const ARRIVED: usize = 192; // Workers that wait at the barrier.
const GENERATION: usize = 256; // Barriers passed.
const SLEEPING: usize = 320; // Workers asleep at the barrier.
const NEXT: usize = 384; // The next piece of work to claim.
const SHARED_SCRATCH: usize = 448; // Where the room shared by all workers lies,
const THREAD_SCRATCH: usize = 452; // that of worker 0,
const THREAD_STRIDE: usize = 456; // and how far on that of the next is.
const FIRST_BATCH: usize = 512;

// About 50 microseconds, longer than waking a thread takes (30 on a virtual machine). With less, one sleeping worker
// makes the others wait so long that they fall asleep as well, at every barrier from then on.
const SPINS = 100000;

export let thread: i32 = 0;
export let threads: i32 = 1;
let generation: i32 = 0;
let next: i32 = 0;
let batch: usize = FIRST_BATCH;
let taken: i32 = 0;

export function join(index: i32, count: i32): void {
  thread = index;
  threads = count;
}

/** Waits for all workers. Everything written before is seen by all after. Claims start again at 0. */
export function barrier(): void {
  if (ASC_FEATURE_THREADS) {
    if (threads > 1) {
      const passed = generation++;
      if (atomic.add<i32>(ARRIVED, 1) == threads - 1) {
        atomic.store<i32>(ARRIVED, 0);
        atomic.store<i32>(NEXT, 0);
        atomic.store<i32>(GENERATION, passed + 1);
        if (atomic.load<i32>(SLEEPING) != 0) atomic.notify(GENERATION, -1);
        return;
      }
      for (let i = 0; i < SPINS; i++) if (atomic.load<i32>(GENERATION) != passed) return;
      atomic.add<i32>(SLEEPING, 1);
      while (atomic.load<i32>(GENERATION) == passed) atomic.wait<i32>(GENERATION, passed, -1);
      atomic.sub<i32>(SLEEPING, 1);
      return;
    }
  }
  next = 0;
}

/** A piece of work that no other worker has: 0, 1, 2, ... up to the next barrier. */
export function claim(): i32 {
  if (ASC_FEATURE_THREADS) if (threads > 1) return atomic.add<i32>(NEXT, 1);
  return next++;
}

/** Where this worker's share of `count` pieces starts; that of the next one is where it ends. */
// @ts-ignore: decorator
@inline
export function begin(count: i32): i32 { return <i32>(<i64>count * thread / threads); }

// @ts-ignore: decorator
@inline
export function end(count: i32): i32 { return <i32>(<i64>count * (thread + 1) / threads); }

// @ts-ignore: decorator
@inline
export function sharedScratch(): usize { return <usize>load<u32>(SHARED_SCRATCH); }

// @ts-ignore: decorator
@inline
export function threadScratch(): usize {
  return <usize>(load<u32>(THREAD_SCRATCH) + load<u32>(THREAD_STRIDE) * thread);
}

/** Sets the workers' scratch memory. */
export function setScratch(shared: u32, first: u32, stride: u32): void {
  if (thread != 0) return;
  store<u32>(SHARED_SCRATCH, shared);
  store<u32>(THREAD_SCRATCH, first);
  store<u32>(THREAD_STRIDE, stride);
}

/**
 * Waits for the next batch of commands and returns the address of its header: next header, words, whether the host
 * waits; the commands follow.
 */
export function nextBatch(): usize {
  if (ASC_FEATURE_THREADS) {
    for (let i = 0; i < SPINS; i++) if (atomic.load<i32>(SUBMITTED) != taken) break;
    while (atomic.load<i32>(SUBMITTED) == taken) atomic.wait<i32>(SUBMITTED, taken, -1);
  }
  taken++;
  batch = <usize>load<u32>(batch);
  return batch;
}

/** Marks a batch done. Returns its number if the host waits for it, else 0. */
export function completeBatch(): i32 {
  if (thread != 0) return 0;
  if (ASC_FEATURE_THREADS) atomic.store<i32>(COMPLETED, taken);
  return load<i32>(batch, 8) != 0 ? taken : 0;
}
