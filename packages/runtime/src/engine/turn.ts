import type { Cache, TurnPlan } from "@ziggurat/cache";
import { RequestError } from "../error.js";
import type { Model } from "../model.js";
import { Batch } from "./batch.js";
import { decode, type Piece } from "./decode.js";
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

/**
 * What the cache did: `read` after every message, `step` after generated tokens, where rows were evicted since the last
 * event.
 */
export interface CacheEvent {
  readonly type: "read" | "step";
  readonly sequence: number;
  /** Tokens read so far. */
  readonly seen: number;
  /** Rows held, [layer][KV head]. */
  readonly rows: number[][];
  /** Rows evicted since the last event, over all layers and heads. */
  readonly evicted: number;
  /** Bytes of the cache, of all sequences together. */
  readonly bytes: number;
}

/** Ids that the device remembers at most. */
const mostEvery = 1024;

export interface TurnOptions {
  /** Tokens between two looks at the ids, from 1 to 1024. Default 8. The text is the same whatever it is. */
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

/** Throws a `RequestError` for an option that cannot be, and the signal's reason where it is aborted already. */
export function checkTurn({ readEvery = 8, signal }: TurnOptions): void {
  if (!Number.isSafeInteger(readEvery) || readEvery < 1 || readEvery > mostEvery) {
    throw new RequestError(
      `readEvery is ${String(readEvery)}; it must be a whole number of tokens from 1 to ${mostEvery}`,
    );
  }
  signal?.throwIfAborted();
}

/** Reads every sequence's messages, then decodes them together. The cache is left as the turn left it. */
export async function* runTurn(
  model: Model,
  cache: Cache,
  members: readonly TurnMember[],
  options: TurnOptions,
): AsyncGenerator<Piece, TurnOutcome> {
  const { readEvery = 8, logits = false, signal } = options;
  const lease = await model.ropes.lease(Math.max(1, ...members.map(({ plan }) => plan.positions)));
  const carefully = logits || members.some(({ writer }) => writer.stopsOnText);
  const ring = carefully ? 1 : readEvery;
  let batch: Batch | undefined;
  try {
    cache.rope = lease.rope;
    batch = await Batch.create(model, cache, members.map(batchMember), ring);
    const { seconds: prefillSeconds, peakBytes } = await readAll(model, cache, batch, members, options);
    const rowsAfterPrefill = cache.progress.map(({ rows }) => rows.map((heads) => [...heads]));
    const keptAfterPrefill = options.kept ? await keptOf(cache) : undefined;
    const { bytes, room } = cache;

    const writers = members.map(({ writer }) => writer);
    const told = cache.progress.map(({ evicted }) => evicted);
    const tellEvicted = () =>
      cache.progress.forEach((progress, sequence) => {
        if (progress.evicted > told[sequence]!) options.onEvent?.(eventOf("step", cache, sequence, told[sequence]!));
        told[sequence] = progress.evicted;
      });
    let decodeSeconds = 0;
    let since = performance.now();
    for await (const piece of decode(model, cache, batch, writers, { readEvery: ring, logits, signal })) {
      tellEvicted();
      // What the caller does with a piece is no time of ours.
      decodeSeconds += (performance.now() - since) / 1000;
      yield piece;
      since = performance.now();
    }
    decodeSeconds += (performance.now() - since) / 1000;
    tellEvicted();
    return {
      prefillSeconds,
      decodeSeconds,
      rowsAfterPrefill,
      cacheBytes: bytes,
      roomBytes: room,
      peakBytes,
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

const eventOf = (type: CacheEvent["type"], cache: Cache, sequence: number, evictedBefore: number): CacheEvent => {
  const { seen, rows, evicted } = cache.progress[sequence]!;
  return {
    type,
    sequence,
    seen,
    rows: rows.map((heads) => [...heads]),
    evicted: evicted - evictedBefore,
    bytes: cache.bytes,
  };
};

/** Reads all messages of all sequences; `peakBytes` is the most that cache and scratch took together. */
async function readAll(
  model: Model,
  cache: Cache,
  batch: Batch,
  members: readonly TurnMember[],
  { signal, onProgress, onEvent }: TurnOptions,
) {
  const plans = members.map(({ plan }) => plan);
  const total = members.reduce((sum, { messages }) => messages.reduce((n, { length }) => n + length, sum), 0);
  let before = 0;
  let seconds = 0;
  let peakBytes = 0;
  for (const [sequence, { messages }] of members.entries()) {
    for (const ids of messages) {
      const { evicted } = cache.progress[sequence]!;
      const read = await readMessage(model, [{ cache, sequence, plans }], ids, {
        logits: batch.logitsOf(sequence),
        signal,
        onProgress: onProgress && ((done, all) => onProgress((before + (ids.length * done) / all) / total)),
      });
      before += ids.length;
      seconds += read.seconds;
      peakBytes = Math.max(peakBytes, read.peakBytes);
      onEvent?.(eventOf("read", cache, sequence, evicted));
    }
  }
  return { seconds, peakBytes };
}
