export { type Chat, chatOf, type Message } from "./chat.js";
export type { Piece } from "./decode.js";
export type { TextStream } from "./detokenize.js";
export {
  CeilingError,
  ConfigError,
  DownloadError,
  FormatError,
  RequestError,
  TemplateError,
  TokenizerError,
} from "./error.js";
export type {
  Family,
  Forward,
  LoadedWeights,
  LoadWeightsOptions,
  ModelFacts,
  OpenedModel,
  Rope,
} from "./families/family.js";
export { blobs, type FileSource, type ModelFiles, memoryFiles } from "./files.js";
export { type Fit, type FitOptions, fit } from "./fit.js";
export {
  type GenerateBatchOptions,
  type GenerateOptions,
  type GeneratePiece,
  type GenerateResult,
  generate,
  generateBatch,
  type Request,
} from "./generate.js";
export { type EachResult, type GenerateEachOptions, generateEach } from "./generate-each.js";
export { Generation } from "./generation.js";
export { ggufWeights, readGguf } from "./gguf/gguf.js";
export { logProbabilities } from "./log-probabilities.js";
export { families, type LoadOptions, loadModel, type Model, openModel } from "./model.js";
export { type ModelSource, modelFiles } from "./model-files.js";
export type { Prompt } from "./prompt.js";
export { type RemoteOptions, remote } from "./remote.js";
export type { SamplingOptions } from "./sampling.js";
export { type EachScore, type ScoreEachOptions, scoreEach } from "./score-each.js";
export { type Origin, Session, type SessionOptions, type TurnRequest } from "./session.js";
export { type DecodeOptions, type EncodeOptions, loadTokenizer, makeTokenizer, type Tokenizer } from "./tokenizer.js";
export type { CacheEvent, TurnOptions } from "./turn.js";
export { convert } from "./weights/convert.js";
export { openWeights } from "./weights/open.js";
export { readSafetensors } from "./weights/safetensors.js";
export type { StoredDType, StoredTensor, WeightSource } from "./weights/source.js";
export type { FinishReason } from "./writer.js";
