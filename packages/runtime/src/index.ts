export { type Chat, chatOf, type Message } from "./chat.js";
export {
  architectures,
  type GenerationConfig,
  type LlamaConfig,
  loadConfig,
  type ModelConfig,
  parseConfig,
  parseGeneration,
} from "./config.js";
export type { TextStream } from "./detokenize.js";
export { ConfigError, FormatError, TemplateError, TokenizerError } from "./error.js";
export { blobs, type FileSource, type ModelFiles, memoryFiles } from "./files.js";
export { type DecodeOptions, type EncodeOptions, loadTokenizer, makeTokenizer, type Tokenizer } from "./tokenizer.js";
export { convert } from "./weights/convert.js";
export { openWeights } from "./weights/open.js";
export { readSafetensors } from "./weights/safetensors.js";
export type { StoredDType, StoredTensor, WeightSource } from "./weights/source.js";
