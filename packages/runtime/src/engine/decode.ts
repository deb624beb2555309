import type { Cache, Firings } from "@ziggurat/cache";
import type { Model } from "../model.js";
import type { Batch } from "./batch.js";
import type { Writer } from "./writer.js";

export interface DecodeOptions {
  /** Tokens between two looks at the ids; more is faster and streams in larger pieces. */
  readonly readEvery: number;
  /** Whether every piece carries the logits that its token was chosen from; ids are read after every token then. */
  readonly logits: boolean;
  readonly signal: AbortSignal | undefined;
}

/** What one sequence has newly written. */
export interface Piece {
  readonly sequence: number;
  readonly ids: readonly number[];
  readonly text: string;
  /** f32 [vocabulary] of the token in `ids`, where asked for. */
  readonly logits?: Float32Array;
}

const idle: Firings = [];

/**
 * Writes the answers of all sequences of a batch, from the logits that are in it. Steps are enqueued `readEvery` at a
 * time; a sequence that ended on the way has done nothing in the steps after, so the outcome does not depend on it.
 */
export async function* decode(
  model: Model,
  cache: Cache,
  batch: Batch,
  writers: readonly Writer[],
  options: DecodeOptions,
): AsyncGenerator<Piece> {
  const alive = () => writers.flatMap((writer, sequence) => (writer.finishReason ? [] : [sequence]));
  let first = true;
  while (true) {
    const running = alive();
    if (running.length === 0) return;
    // Only here: between this and the collected ids, device and writers would disagree.
    options.signal?.throwIfAborted();
    const before = cache.progress.map((progress) => progress.clone());
    // The first token is shown as soon as it is there.
    const samples = first
      ? 1
      : Math.min(options.readEvery, batch.ring, ...running.map((sequence) => writers[sequence]!.left));
    for (let sample = 0; sample < samples; sample++) {
      if (!first)
        await batch.feed(
          cache.progress.map((progress, sequence) => (running.includes(sequence) ? progress.feed(1, "decode") : idle)),
        );
      batch.sample();
    }
    const fed = first ? 0 : 1;
    first = false;
    const collected = await batch.collect();
    for (const sequence of running) {
      const writer = writers[sequence]!;
      const known = writer.ids.length;
      let text = "";
      let taken = 0;
      while (taken < collected.length && !writer.finishReason) text += writer.push(collected[taken++]![sequence]!);
      if (writer.finishReason) {
        // The device stopped feeding this sequence when it ended; so does the account of it.
        const progress = cache.progress[sequence]!;
        progress.assign(before[sequence]!);
        for (let feed = 0; feed < taken - 1 + fed; feed++) progress.feed(1, "decode");
        cache.tables.write(cache.tables.ended(sequence), [1]);
      }
      const ids = writer.ids.slice(known);
      const logits = options.logits ? { logits: await readLogits(model, batch, sequence) } : {};
      if (ids.length > 0 || text !== "") yield { sequence, ids, text, ...logits };
    }
  }
}

async function readLogits(model: Model, batch: Batch, sequence: number): Promise<Float32Array> {
  return new Float32Array((await model.backend.read(batch.logitsOf(sequence), 4 * model.facts.vocabularySize)).buffer);
}
