import type { Cache, RopeOf } from "@ziggurat/cache";
import { RequestError, show } from "../error.js";
import type { Model } from "../model.js";
import { checkCallback, checkFlag, checkSignal, type OptionNames } from "../options.js";
import { Batch } from "./batch.js";
import { decode, type Piece } from "./decode.js";
import { cut } from "./limits.js";
import type { TurnMember, TurnOutcome } from "./member.js";
import { readMessage } from "./read-message.js";

/**
 * What the cache did: `read` after every message, `step` after generated tokens if rows were evicted since the last
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

/** The most ids that the device remembers. */
const mostEvery = 1024;

export interface TurnOptions {
  /** Tokens between two reads of the ids, from 1 to 1024. Default 8. The text is the same whatever it is. */
  readonly readEvery?: number;
  /** Whether pieces carry the logits that their token was chosen from. */
  readonly logits?: boolean;
  /** Whether the result lists the positions of the text that were kept. */
  readonly kept?: boolean;
  readonly signal?: AbortSignal;
  /** Called with the fraction done, from 0 to 1, while prompts are read. */
  readonly onProgress?: (done: number) => void;
  /** Called with what the cache holds and evicts, as it happens. */
  readonly onEvent?: (event: CacheEvent) => void;
}

/** The names of a turn's options. */
export const turnNames: OptionNames<TurnOptions> = {
  ...{ readEvery: true, logits: true, kept: true, signal: true, onProgress: true, onEvent: true },
};

/** Throws a `RequestError` for an option that is not valid, and the signal's reason if it is aborted already. */
export function checkTurn({ readEvery = 8, logits, kept, signal, onProgress, onEvent }: TurnOptions): void {
  checkFlag("logits", logits);
  checkFlag("kept", kept);
  checkCallback("onProgress", onProgress);
  checkCallback("onEvent", onEvent);
  checkSignal(signal);
  if (!Number.isSafeInteger(readEvery) || readEvery < 1 || readEvery > mostEvery) {
    throw new RequestError(
      `readEvery is ${show(readEvery)}; it must be a whole number of tokens from 1 to ${mostEvery}`,
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
    cache.reserve(members.map(({ plan }) => plan));
    batch = await Batch.create(model, cache, members.map(batchMember), { ring, rope: lease.rope });
    const { seconds: prefillSeconds, peakBytes } = await readAll(model, cache, batch, members, lease.rope, options);
    const rowsAfterPrefill = members.map((_, sequence) => cache.rows(sequence));
    const keptAfterPrefill = options.kept ? await keptOf(cache, members) : undefined;
    const { bytes, room } = cache;

    const writers = members.map(({ writer }) => writer);
    const reported = members.map((_, sequence) => cache.account(sequence).evicted);
    const reportEvictions = () =>
      members.forEach((_, sequence) => {
        const { evicted } = cache.account(sequence);
        if (evicted > reported[sequence]!) options.onEvent?.(eventOf("step", cache, sequence, reported[sequence]!));
        reported[sequence] = evicted;
      });
    let decodeSeconds = 0;
    let since = performance.now();
    for await (const piece of decode(model, cache, batch, writers, { readEvery: ring, logits, signal })) {
      reportEvictions();
      // Time that the caller spends on a piece is not counted.
      decodeSeconds += (performance.now() - since) / 1000;
      yield piece;
      since = performance.now();
    }
    decodeSeconds += (performance.now() - since) / 1000;
    reportEvictions();
    return {
      prefillSeconds,
      decodeSeconds,
      rowsAfterPrefill,
      cacheBytes: bytes,
      roomBytes: room,
      peakBytes,
      kept: keptAfterPrefill && { afterPrefill: keptAfterPrefill, atEnd: await keptOf(cache, members) },
    };
  } finally {
    batch?.free();
    lease.release();
  }
}

const batchMember = ({ sampling, stopTokens, ids, earlier = [] }: TurnMember) => {
  const history = new Int32Array(earlier.length + ids.length);
  history.set(earlier);
  history.set(ids, earlier.length);
  return { sampling, stopTokens, history };
};

const keptOf = (cache: Cache, members: readonly TurnMember[]) =>
  Promise.all(members.map((_, sequence) => cache.kept(sequence)));

const eventOf = (type: CacheEvent["type"], cache: Cache, sequence: number, evictedBefore: number): CacheEvent => {
  const { seen, rows, evicted } = cache.account(sequence);
  return { type, sequence, seen, rows, evicted: evicted - evictedBefore, bytes: cache.bytes };
};

/** Reads all messages of all sequences. `peakBytes` is the most that cache and scratch took together. */
async function readAll(
  model: Model,
  cache: Cache,
  batch: Batch,
  members: readonly TurnMember[],
  rope: RopeOf,
  { signal, onProgress, onEvent }: TurnOptions,
) {
  const total = members.reduce((sum, { ids }) => sum + ids.length, 0);
  let before = 0;
  let seconds = 0;
  let peakBytes = 0;
  for (const [sequence, { ids: prompt, messages }] of members.entries()) {
    for (const ids of cut(prompt, messages)) {
      const { evicted } = cache.account(sequence);
      const read = await readMessage(model, [{ cache, sequence }], ids, {
        logits: batch.logitsOf(sequence),
        rope,
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
