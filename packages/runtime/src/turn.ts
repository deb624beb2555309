import type { Cache, TurnPlan } from "@ziggurat/cache";
import { Batch } from "./batch.js";
import { decode, type Piece } from "./decode.js";
import type { Model } from "./model.js";
import { readMessage } from "./read-message.js";
import type { Sampling } from "./sampling.js";
import type { Writer } from "./writer.js";

/** One sequence's part in a turn. */
export interface TurnMember {
  readonly plan: TurnPlan;
  /** Token ids of the messages, in order; later ones are chunks of the same prompt. */
  readonly messages: readonly Int32Array[];
  readonly sampling: Sampling;
  readonly stopTokens: readonly number[];
  readonly writer: Writer;
  /** Ids read in earlier turns, for the repetition penalty. */
  readonly earlier?: readonly number[];
}

/** What the cache did; rows are [layer][KV head]. */
export type CacheEvent =
  | {
      readonly type: "read";
      readonly sequence: number;
      readonly seen: number;
      readonly rows: number[][];
      readonly evicted: number;
      readonly bytes: number;
    }
  | {
      readonly type: "step";
      readonly sequence: number;
      readonly seen: number;
      readonly rows: number[][];
      readonly evicted: number;
      readonly bytes: number;
    };

export interface TurnOptions {
  /** Tokens between two looks at the ids. Default 8. The text is the same whatever it is. */
  readonly readEvery?: number;
  /** Whether pieces carry the logits that their token was chosen from. */
  readonly logits?: boolean;
  /** Whether the result lists the positions of the text that were kept. */
  readonly kept?: boolean;
  readonly signal?: AbortSignal;
  /** Told while prompts are read: part done, from 0 to 1. */
  readonly onProgress?: (done: number) => void;
  /** Told what the cache holds and evicts, as it happens. */
  readonly onEvent?: (event: CacheEvent) => void;
}

/** What a turn took and left. */
export interface TurnOutcome {
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  /** Rows after the prompts, [sequence][layer][KV head]. */
  readonly rowsAfterPrefill: readonly (readonly (readonly number[])[])[];
  /** Bytes of the cache after the prompts: arenas, with their room, and tables. */
  readonly cacheBytes: number;
  /** Those of `cacheBytes` that waited for the answers' tokens. */
  readonly roomBytes: number;
  /** The most bytes that cache and prefill scratch took together. */
  readonly peakBytes: number;
  /** Kept positions after the prompts and at the end, [sequence][layer][KV head], where asked for. */
  readonly kept: { readonly afterPrefill: number[][][][]; readonly atEnd: number[][][][] } | undefined;
}

/** Reads every sequence's messages, then decodes them together. The cache is left as the turn left it. */
export async function* runTurn(model: Model, cache: Cache, members: readonly TurnMember[], options: TurnOptions): AsyncGenerator<Piece, TurnOutcome> {
  const { readEvery = 8, logits = false, signal } = options;
  const lease = model.ropes.lease(Math.max(1, ...members.map(({ plan }) => plan.positions)));
  const carefully = logits || members.some(({ writer }) => writer.stopsOnText);
  const ring = carefully ? 1 : readEvery;
  let batch: Batch | undefined;
  try {
    cache.rope = lease.rope;
    batch = await Batch.create(model, cache, members.map(batchMember), ring);
    const started = performance.now();
    const peak = await readAll(model, cache, batch, members, options);
    const read = performance.now();
    const rowsAfterPrefill = cache.progress.map(({ rows }) => rows.map((heads) => [...heads]));
    const keptAfterPrefill = options.kept ? await keptOf(cache) : undefined;
    const { bytes, room } = cache;

    const writers = members.map(({ writer }) => writer);
    const evicted = cache.progress.map((progress) => progress.evicted);
    const decodeStarted = performance.now();
    for await (const piece of decode(model, cache, batch, writers, { readEvery: ring, logits, signal })) {
      const { sequence } = piece;
      const progress = cache.progress[sequence]!;
      if (options.onEvent && progress.evicted > evicted[sequence]!) {
        const rows = progress.rows.map((heads) => [...heads]);
        options.onEvent({ type: "step", sequence, seen: progress.seen, rows, evicted: progress.evicted - evicted[sequence]!, bytes: cache.bytes });
        evicted[sequence] = progress.evicted;
      }
      yield piece;
    }
    const ended = performance.now();
    return {
      prefillSeconds: (read - started) / 1000,
      decodeSeconds: (ended - decodeStarted) / 1000,
      rowsAfterPrefill,
      cacheBytes: bytes,
      roomBytes: room,
      peakBytes: peak,
      kept: keptAfterPrefill && { afterPrefill: keptAfterPrefill, atEnd: await keptOf(cache) },
    };
  } finally {
    batch?.free();
    lease.release();
  }
}

const batchMember = ({ sampling, stopTokens, messages, earlier = [] }: TurnMember) => ({
  sampling,
  stopTokens,
  history: Int32Array.from([...earlier, ...messages.flatMap((ids) => [...ids])]),
});

const keptOf = (cache: Cache) => Promise.all(cache.progress.map((_, sequence) => cache.kept(sequence)));

/** Reads all messages of all sequences; returns the most bytes that cache and scratch took together. */
async function readAll(model: Model, cache: Cache, batch: Batch, members: readonly TurnMember[], options: TurnOptions): Promise<number> {
  const plans = members.map(({ plan }) => plan);
  const total = members.reduce((sum, { messages }) => messages.reduce((n, { length }) => n + length, sum), 0);
  let before = 0;
  let peak = 0;
  for (const [sequence, { messages }] of members.entries()) {
    for (const ids of messages) {
      const evicted = cache.progress[sequence]!.evicted;
      const { scratchBytes } = await readMessage(model, [{ cache, sequence, plans }], ids, {
        logits: batch.logitsOf(sequence),
        signal: options.signal,
        onProgress: options.onProgress && ((done, all) => options.onProgress!((before + (ids.length * done) / all) / total)),
      });
      before += ids.length;
      peak = Math.max(peak, scratchBytes + cache.bytes);
      const progress = cache.progress[sequence]!;
      options.onEvent?.({
        type: "read",
        sequence,
        seen: progress.seen,
        rows: progress.rows.map((heads) => [...heads]),
        evicted: progress.evicted - evicted,
        bytes: cache.bytes,
      });
    }
  }
  return Math.max(peak, cache.bytes);
}
