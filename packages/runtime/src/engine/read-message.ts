import { Buffers, Prefill, type Target } from "@ziggurat/cache";
import type { Slice } from "@ziggurat/tensor";
import type { Forward } from "../families/family.js";
import type { Model } from "../model.js";
import { Pace } from "./pace.js";
import { settle } from "./settle.js";

export interface ReadOptions {
  /** f32 [vocabulary]: where the logits after the last token go. */
  readonly logits: Slice;
  readonly signal: AbortSignal | undefined;
  /** Told now and then: tokens x layers done, of all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /**
   * Told the seconds that a target's policy took to choose and move its rows, layer by layer; each layer is waited for
   * then.
   */
  readonly clock?: (target: number, seconds: number) => void;
  /** Given the hidden states of all tokens after the last layer. */
  readonly after?: (hidden: Hidden) => Promise<void>;
}

/** Hidden states of a message, in device memory until `after` has resolved. */
export interface Hidden {
  /** f32 [tokens from this one on, hidden]. */
  at(token: number): Slice;
  /** The pass over so many rows; its `head` turns them into logits. */
  forward(rows: number): Promise<Forward>;
}

export interface ReadResult {
  /** Seconds that reading took, without waiting for others. */
  readonly seconds: number;
  /** Bytes of the scratch. */
  readonly scratchBytes: number;
  /** The most bytes that the scratch and the first target's cache took together. */
  readonly peakBytes: number;
}

/**
 * Reads one message layer by layer over all its tokens, and lets every target keep what its policy chooses. Attention
 * within the message, and to the rows held before, is exact. Prefills of one model run one after the other.
 */
export function readMessage(
  model: Model,
  targets: readonly [Target, ...Target[]],
  ids: Int32Array,
  options: ReadOptions,
): Promise<ReadResult> {
  return model.prefills.run(() => read(model, targets, ids, options));
}

async function read(
  model: Model,
  targets: readonly [Target, ...Target[]],
  ids: Int32Array,
  { logits, signal, onProgress, clock, after }: ReadOptions,
): Promise<ReadResult> {
  const { backend, facts } = model;
  const pace = new Pace(backend, signal);
  const tokens = ids.length;
  const width = facts.hiddenSize;
  const tile = Math.min(backend.info.prefillTokens, tokens);
  const started = performance.now();
  const prefill = new Prefill(targets, tokens, tile);
  const buffers = new Buffers(backend);
  const { cache } = targets[0];
  let peakBytes = prefill.bytes + cache.bytes;
  const forwards = new Map<number, Forward>();
  const forwardOf = async (rows: number): Promise<Forward> => {
    const ready = forwards.get(rows) ?? (await model.forward(rows));
    forwards.set(rows, ready);
    return ready;
  };
  try {
    const hidden = buffers.allocate(4 * tokens * width, "residual").buffer;
    const idBuffer = buffers.allocate(4 * tokens, "residual").buffer;
    const x = (token: number): Slice => ({ buffer: hidden, offset: 4 * token * width });
    await prefill.prepare(tile);
    backend.write({ buffer: idBuffer, offset: 0 }, ids);
    for (let first = 0; first < tokens; first += tile) {
      (await forwardOf(Math.min(tile, tokens - first))).embed({ buffer: idBuffer, offset: 4 * first }, x(first));
    }
    const layers = facts.cache.layers.length;
    for (let layer = 0; layer < layers; layer++) {
      await prefill.begin(layer);
      for (let first = 0; first < tokens; first += tile) {
        const count = Math.min(tile, tokens - first);
        (await forwardOf(count)).layer(layer, x(first), (qkv, out) => prefill.attend(layer, first, count, qkv, out));
        await pace.piece(x(first));
        onProgress?.(layer * tokens + first + count, layers * tokens);
      }
      await prefill.finish(layer, clock);
      peakBytes = Math.max(peakBytes, prefill.bytes + cache.bytes);
    }
    (await forwardOf(1)).head(x(tokens - 1), logits);
    await after?.({ at: x, forward: forwardOf });
    await settle(backend, logits, ...targets.map(({ cache }) => cache.tables.length(0)));
    prefill.commit();
    return { seconds: (performance.now() - started) / 1000, scratchBytes: prefill.bytes, peakBytes };
  } finally {
    for (const forward of forwards.values()) forward.free();
    prefill.free();
    buffers.free();
  }
}
