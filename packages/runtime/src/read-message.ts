import { type Firings, Prefill, type Target } from "@ziggurat/cache";
import type { Slice } from "@ziggurat/tensor";
import type { Forward } from "./families/family.js";
import type { Model } from "./model.js";
import { Pace } from "./pace.js";

export interface ReadOptions {
  /** f32 [vocabulary]: where the logits after the last token go. */
  readonly logits: Slice;
  readonly signal: AbortSignal | undefined;
  /** Told now and then: tokens x layers done, of all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Told the seconds that a target's policy took to choose and move its rows, layer by layer; each layer is waited for then. */
  readonly clock?: (target: number, seconds: number) => void;
}

export interface ReadResult {
  /** What each target's layers were cut down to. */
  readonly firings: readonly Firings[];
  /** The most bytes that the scratch held. */
  readonly scratchBytes: number;
}

/**
 * Reads one message layer by layer over all its tokens, and lets every target keep what its policy chooses. Attention within the message, and to the rows held
 * before, is exact. Prefills of one model run one after the other.
 */
export function readMessage(model: Model, targets: readonly [Target, ...Target[]], ids: Int32Array, options: ReadOptions): Promise<ReadResult> {
  return model.prefills.run(() => read(model, targets, ids, options));
}

async function read(
  model: Model,
  targets: readonly [Target, ...Target[]],
  ids: Int32Array,
  { logits, signal, onProgress, clock }: ReadOptions,
): Promise<ReadResult> {
  const { backend, facts } = model;
  const pace = new Pace(backend, signal);
  const tokens = ids.length;
  const width = facts.hiddenSize;
  const tile = Math.min(backend.info.prefillTokens, tokens);
  const prefill = new Prefill(targets, tokens, tile);
  const hidden = backend.allocate(4 * tokens * width, "residual");
  const idBuffer = backend.allocate(4 * tokens, "residual");
  const forwards = new Map<number, Forward>();
  const forwardOf = async (rows: number): Promise<Forward> => {
    const ready = forwards.get(rows) ?? (await model.forward(rows));
    forwards.set(rows, ready);
    return ready;
  };
  const x = (token: number): Slice => ({ buffer: hidden, offset: 4 * token * width });
  try {
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
        await pace.piece();
        onProgress?.(layer * tokens + first + count, layers * tokens);
      }
      await prefill.finish(layer, clock);
    }
    (await forwardOf(1)).head(x(tokens - 1), logits);
    await backend.synchronise();
    return { firings: prefill.commit(), scratchBytes: prefill.bytes };
  } finally {
    for (const forward of forwards.values()) forward.free();
    prefill.free();
    backend.free(hidden);
    backend.free(idBuffer);
  }
}
