// Weight files (`@ziggurat/runtime/formats`): reading GGUF and safetensors without a model.

export { type Gguf, readGguf } from "./gguf/gguf.js";
export { type ConvertOptions, convert } from "./weights/convert.js";
export { openWeights } from "./weights/open.js";
export { readSafetensors } from "./weights/safetensors.js";
export type { StoredDType, StoredTensor, WeightSource } from "./weights/source.js";
