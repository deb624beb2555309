export type { Piece } from "./engine/decode.js";
export type { SamplingOptions } from "./engine/sampling.js";
export type { CacheEvent, TurnOptions } from "./engine/turn.js";
export type { FinishReason } from "./engine/writer.js";
export {
  CeilingError,
  ConfigError,
  DownloadError,
  FormatError,
  RequestError,
  TemplateError,
  TokenizerError,
} from "./error.js";
export { type EachResult, type GenerateEachOptions, generateEach } from "./evaluate/generate-each.js";
export { logProbabilities } from "./evaluate/log-probabilities.js";
export {
  type EachLogProbabilities,
  type LogProbabilitiesEachOptions,
  logProbabilitiesEach,
} from "./evaluate/score-each.js";
export type {
  Family,
  Forward,
  LoadedWeights,
  LoadWeightsOptions,
  ModelFacts,
  OpenedModel,
  Rope,
} from "./families/family.js";
export { blobs, type FileSource, type ModelFiles, memoryFiles } from "./files/files.js";
export { type ModelSource, modelFiles } from "./files/model-files.js";
export { type RemoteOptions, remote } from "./files/remote.js";
export { type Fit, type FitOptions, fit } from "./fit.js";
export {
  type GenerateBatchOptions,
  type GenerateOptions,
  type GeneratePiece,
  type GenerateRequest,
  type GenerateResult,
  generate,
  generateBatch,
} from "./generate.js";
export { Generation } from "./generation.js";
export { ggufWeights, readGguf } from "./gguf/gguf.js";
export { families, type LoadOptions, loadModel, type Model, openModel } from "./model.js";
export { Session, type SessionOptions, type SessionOrigin, type TurnRequest } from "./session.js";
export { type Chat, type ChatOptions, chatOf, type Rendering } from "./text/chat.js";
export type { TextStream } from "./text/detokenize.js";
export type { Message, TextPart } from "./text/messages.js";
export type { Prompt } from "./text/prompt.js";
export {
  type EncodeOptions,
  loadTokenizer,
  makeTokenizer,
  type TokenDecodeOptions,
  type Tokenizer,
} from "./text/tokenizer.js";
export { convert } from "./weights/convert.js";
export { openWeights } from "./weights/open.js";
export { readSafetensors } from "./weights/safetensors.js";
export type { StoredDType, StoredTensor, WeightSource } from "./weights/source.js";
