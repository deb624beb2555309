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
export type { ModelFacts } from "./families/family.js";
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
export { type LoadOptions, loadModel, type Model, type OpenOptions, openModel } from "./model.js";
export {
  Session,
  type SessionOptions,
  type SessionOrigin,
  type SessionReadOptions,
  type TurnRequest,
} from "./session.js";
export type { Chat, ChatOptions, Rendering } from "./text/chat.js";
export type { Message, TextPart } from "./text/messages.js";
export type { Prompt } from "./text/prompt.js";
export type { EncodeOptions, TokenDecodeOptions, Tokenizer } from "./text/tokenizer.js";
