import type { Family } from "./families/family.js";
import { gemma3 } from "./families/gemma3.js";
import { llama } from "./families/llama.js";
import { mistral } from "./families/mistral.js";
import { phi3 } from "./families/phi3.js";
import { qwen2 } from "./families/qwen2.js";
import { qwen3 } from "./families/qwen3.js";

// Model families (`@ziggurat/runtime/families`): those that exist, and the parts to write another one of.

export type { Decoder, DecoderLayer, Projection } from "./families/decoder.js";
export { decoderModel } from "./families/decoder-model.js";
export type {
  Family,
  Forward,
  LoadedWeights,
  LoadWeightsOptions,
  OpenedModel,
  Rope,
} from "./families/family.js";
export { type LayerOptions, llamaDecoder, llamaLayer, withHeadNorms } from "./families/llama-decoder.js";
export { type ModelConfig, oneRope, readConfig } from "./families/model-config.js";
export type { Configuration } from "./files/config.js";
export type { GgufFacts, GgufForm } from "./gguf/names.js";

export { gemma3, llama, mistral, phi3, qwen2, qwen3 };

/** The model families that `loadModel` knows by default. */
export const families: readonly Family[] = [llama, mistral, qwen2, qwen3, gemma3, phi3];
