import type { Account, Cache } from "@ziggurat/cache";
import type { Model } from "../model.js";
import type { Batch } from "./batch.js";
import type { Writer } from "./writer.js";

export interface DecodeOptions {
  /** Tokens between two reads of the ids; more is faster and streams in larger pieces. */
  readonly readEvery: number;
  /** Whether every piece carries the logits that its token was chosen from. `readEvery` must be 1 then. */
  readonly logits: boolean;
  readonly signal: AbortSignal | undefined;
}

/** New text and ids of one sequence. */
export interface Piece {
  readonly sequence: number;
  readonly ids: readonly number[];
  readonly text: string;
  /** f32 [vocabulary] of the token in `ids`, if asked for. */
  readonly logits?: Float32Array;
}

/**
 * Writes the answers of all sequences of a batch, from the logits that are in it. Steps are enqueued `readEvery` at a
 * time. A sequence that ends among them does nothing in the steps after, so the outcome does not depend on `readEvery`.
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
    // The first token is shown as soon as it is there.
    const samples = first
      ? 1
      : Math.min(options.readEvery, batch.ring, ...running.map((sequence) => writers[sequence]!.left));
    // [sample][sequence]: the rows that each sequence held when the sample's token was chosen.
    const accounts: Account[][] = [];
    for (let sample = 0; sample < samples; sample++) {
      if (!first) await batch.feed(running);
      batch.sample();
      accounts.push(writers.map((_, sequence) => cache.account(sequence)));
    }
    first = false;
    const collected = await batch.collect();
    for (const sequence of running) {
      const writer = writers[sequence]!;
      const known = writer.ids.length;
      let text = "";
      let taken = 0;
      while (taken < collected.length && !writer.finishReason) text += writer.push(collected[taken++]![sequence]!);
      // The device fed nothing to this sequence after the token that ended it.
      if (writer.finishReason) cache.end(sequence, accounts[taken - 1]![sequence]!);
      const ids = writer.ids.slice(known);
      const logits = options.logits ? { logits: await readLogits(model, batch, sequence) } : {};
      if (ids.length > 0 || text !== "") yield { sequence, ids, text, ...logits };
    }
  }
}

async function readLogits(model: Model, batch: Batch, sequence: number): Promise<Float32Array> {
  return new Float32Array((await model.backend.read(batch.logitsOf(sequence), 4 * model.facts.vocabularySize)).buffer);
}
