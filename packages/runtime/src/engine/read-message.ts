import { Prefill, type RopeOf, type Target } from "@ziggurat/cache";
import { Buffers, type Slice } from "@ziggurat/tensor";
import type { Forward } from "../families/family.js";
import type { Model } from "../model.js";
import { Pace } from "./pace.js";
import { settle } from "./settle.js";

export interface ReadOptions {
  /** f32 [vocabulary]: receives the logits after the last token. */
  readonly logits: Slice;
  /** The rotation tables. */
  readonly rope: RopeOf;
  readonly signal: AbortSignal | undefined;
  /** Called with tokens x layers done, and all of them. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /**
   * Called with the seconds that a target's policy took to choose and move its rows, layer by layer. Each layer is
   * waited for then.
   */
  readonly onPolicyTime?: (target: number, seconds: number) => void;
  /** Called with the hidden states of all tokens after the last layer. */
  readonly after?: (hidden: Hidden) => Promise<void>;
}

/** Hidden states of a message, in device memory until `after` has resolved. */
export interface Hidden {
  /** f32 [tokens from this one on, hidden]. */
  at(token: number): Slice;
  /** The pass over `rows` rows; its `head` turns them into logits. */
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
 * Reads one message layer by layer over all its tokens; every target keeps what its policy chooses. Attention within
 * the message, and to the rows held before, is exact. Prefills of one model run one after the other.
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
  { logits, rope, signal, onProgress, onPolicyTime, after }: ReadOptions,
): Promise<ReadResult> {
  const { backend, facts } = model;
  const pace = new Pace(backend, signal);
  const tokens = ids.length;
  const width = facts.hiddenSize;
  const started = performance.now();
  const tile = Math.min(backend.info.prefillTokens, tokens);
  const prefill = await Prefill.prepare(targets, tokens, tile, { rope, gram: model.outputGram });
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
    backend.write({ buffer: idBuffer, offset: 0 }, ids);
    for (const { first, tokens: count } of prefill.tiles)
      (await forwardOf(count)).embed({ buffer: idBuffer, offset: 4 * first }, x(first));
    const layers = facts.cache.layers.length;
    for (let layer = 0; layer < layers; layer++) {
      await prefill.begin(layer);
      for (const tile of prefill.tiles) {
        const forward = await forwardOf(tile.tokens);
        forward.layer(layer, x(tile.first), (qkv, out) => prefill.attend(layer, tile, qkv, out));
        await pace.piece(x(tile.first));
        onProgress?.(layer * tokens + tile.first + tile.tokens, layers * tokens);
      }
      if (onPolicyTime) await settle(backend, x(0));
      for (const [target, { cache: own }] of targets.entries()) {
        const begun = performance.now();
        await prefill.finish(layer, target);
        if (!onPolicyTime) continue;
        await settle(backend, own.proof);
        onPolicyTime(target, (performance.now() - begun) / 1000);
      }
      peakBytes = Math.max(peakBytes, prefill.bytes + cache.bytes);
    }
    (await forwardOf(1)).head(x(tokens - 1), logits);
    await after?.({ at: x, forward: forwardOf });
    await settle(backend, logits, ...targets.map(({ cache: own }) => own.proof));
    prefill.commit();
    return { seconds: (performance.now() - started) / 1000, scratchBytes: prefill.bytes, peakBytes };
  } finally {
    for (const forward of forwards.values()) forward.free();
    prefill.free();
    buffers.free();
  }
}
