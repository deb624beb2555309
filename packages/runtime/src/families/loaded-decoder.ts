import type { Slice } from "@ziggurat/tensor";
import type { Matrix } from "../weights/matrix.js";

// A decoder's weights on the device.

export interface LoadedProjection {
  readonly matrix: Matrix;
  readonly bias: Slice | undefined;
}

export interface LoadedLayer {
  readonly attentionNorm: Slice;
  readonly qkv: LoadedProjection;
  /** f32 [heads of a row, headSize]: the norm's weight for every query and key head, ones for values. */
  readonly headNorms: Slice | undefined;
  readonly output: LoadedProjection;
  readonly attentionEndNorm: Slice | undefined;
  readonly feedForwardNorm: Slice;
  readonly gateUp: LoadedProjection;
  readonly down: LoadedProjection;
  readonly feedForwardEndNorm: Slice | undefined;
}

export interface DecoderWeights {
  readonly embedding: Matrix;
  readonly head: Matrix;
  readonly norm: Slice;
  readonly layers: readonly LoadedLayer[];
  /**
   * Where a layer has norms over heads: f32 [headSize] of ones, and [heads of a row], 1 for queries and keys, 0 for
   * values.
   */
  readonly headNorms: { readonly ones: Slice; readonly mask: Slice } | undefined;
}
