import type { CacheShape } from "@ziggurat/cache";
import type { Backend, Slice, WeightDType } from "@ziggurat/tensor";
import type { Configuration } from "../files/config.js";
import type { GgufForm } from "../gguf/names.js";
import type { WeightSource } from "../weights/source.js";

// The interface between model families and the runtime. The runtime knows layers, rows and attention. A family knows
// the names of weights and the computation between two attentions.

/** Facts of a model that the runtime needs. */
export interface ModelFacts {
  /** As the configuration names it, for reports. */
  readonly architecture: string;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  /** Tokens that the model was trained to read. */
  readonly contextLength: number;
  readonly cache: CacheShape;
  /** Rotary embedding per layer; layers that rotate alike share one object. */
  readonly ropes: readonly Rope[];
  /** Tokens that end a turn. */
  readonly endTokens: readonly number[];
}

/** Rotary embedding of a layer. */
export interface Rope {
  /** float32 [rotary / 2]: angle j of position p is p x frequencies[j]. */
  readonly frequencies: Float32Array;
  /** The factor of cosines and sines. */
  readonly factor: number;
  /** Tokens that the scaling lets the model read, if they are more than the configuration says. */
  readonly contextLength?: number;
}

/** A pass over a number of rows of hidden states. Its methods only enqueue work, so they may be recorded. */
export interface Forward {
  /** x [rows, hidden] from ids i32 [rows]. */
  embed(ids: Slice, x: Slice): void;
  /** Computes one layer, x in place. Calls `attend` once, between the projections: it rotates qkv and fills `out`. */
  layer(layer: number, x: Slice, attend: (qkv: Slice, out: Slice) => void): void;
  /** logits f32 [rows, vocabulary] from x. */
  head(x: Slice, logits: Slice): void;
  /** The slices that `attend` is called with. */
  readonly qkv: Slice;
  readonly out: Slice;
  /** Frees the workspace. */
  free(): void;
}

/** A model's weights in device memory. */
export interface LoadedWeights {
  /** Bytes of all weights. */
  readonly bytes: number;
  /** Prepares a pass over `rows` rows, with a separate workspace. */
  forward(rows: number): Promise<Forward>;
  /**
   * Gram matrices of a layer's output projection, f32 [queryHeads, headSize, headSize]: W^T W, where W is the part that
   * reads a query head's output. Called only for policies that use `through`.
   */
  outputGram(layer: number): Promise<Slice>;
  free(): void;
}

export interface LoadWeightsOptions {
  readonly backend: Backend;
  /** Dtype of matrices; undefined leaves them as stored. */
  readonly dtype: WeightDType | undefined;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
}

/**
 * A model family: everything that depends on the architecture. `loadModel` takes a list of them. A family may be built
 * on another, by object spread, or from the parts of `@ziggurat/runtime/families`.
 */
export interface Family {
  /** Names in `architectures` of config.json. */
  readonly architectures: readonly string[];
  /** How GGUF files hold the family; without it, they are refused. */
  readonly gguf?: GgufForm;
  /**
   * Checks a configuration. `contextLength`: the most tokens that will be read, if that is less than the model can.
   * Throws a `ConfigError`.
   */
  readonly open: (configuration: Configuration, contextLength?: number) => OpenedModel;
}

/** A model whose configuration is checked and whose weights are not read. */
export interface OpenedModel {
  readonly facts: ModelFacts;
  /** Bytes that the weights will take in device memory. Throws a `FormatError` if the files lack a tensor. */
  weightBytes(source: WeightSource, dtype: WeightDType | undefined): number;
  /** Reads the weights onto a backend. If that fails, what was allocated is freed. */
  load(source: WeightSource, options: LoadWeightsOptions): Promise<LoadedWeights>;
}
