// Written by `npm run api`. Do not edit.

// @ziggurat/runtime

export interface CacheEvent {
  readonly type: "read" | "step";
  readonly sequence: number;
  readonly seen: number;
  readonly rows: number[][];
  readonly evicted: number;
  readonly bytes: number;
}

export class CeilingError extends Error {
  readonly name = "CeilingError";
}

export interface Chat {
  prompt(
    messages: readonly Message[],
    options?: {
      generationPrompt?: boolean;
    },
  ): number[];
  next(previous: readonly Message[], added: readonly Message[]): number[];
}

export class ConfigError extends Error {
  readonly name = "ConfigError";
}

export interface DecodeOptions {
  readonly skipSpecial?: boolean;
}

export class DownloadError extends Error {
  readonly name = "DownloadError";
}

export interface EachLogProbabilities
  extends Pick<EachResult, "promptTokens" | "policy" | "cache" | "timings" | "policySeconds"> {
  readonly logProbabilities: Float32Array;
}

export interface EachResult extends GenerateResult {
  readonly policySeconds: number;
}

export interface EncodeOptions {
  readonly special?: boolean;
  readonly ignore?: string;
  readonly addSpecialTokens?: boolean;
}

export interface Family {
  readonly architectures: readonly string[];
  readonly open: (configuration: Configuration, contextLength?: number) => OpenedModel;
}

export interface FileSource {
  readonly size: number;
  read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

export type FinishReason = "stop" | "length" | "context";

export interface Fit {
  readonly keep: number;
  readonly peakBytes: number;
}

export interface FitOptions {
  readonly model: Model;
  readonly tokens: number;
  readonly maxTokens?: number;
  readonly chunk?: number;
  readonly maxCacheBytes: number;
  readonly policy: (keep: number) => Policy;
}

export class FormatError extends Error {
  readonly name = "FormatError";
}

export interface Forward {
  embed(ids: Slice, x: Slice): void;
  layer(layer: number, x: Slice, attend: (qkv: Slice, out: Slice) => void): void;
  head(x: Slice, logits: Slice): void;
  readonly qkv: Slice;
  readonly out: Slice;
  free(): void;
}

export interface GenerateBatchOptions extends TurnOptions {
  readonly model: Model;
  readonly requests: readonly GenerateRequest[];
  readonly maxCacheBytes?: number;
}

export interface GenerateEachOptions extends Omit<GenerateRequest, "policy" | "chunk"> {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

export interface GenerateOptions extends GenerateRequest, TurnOptions {
  readonly model: Model;
  readonly maxCacheBytes?: number;
}

export type GeneratePiece = Omit<Piece, "sequence">;

export interface GenerateRequest extends SamplingOptions {
  readonly policy: Policy;
  readonly prompt: Prompt;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly stopTokens?: readonly number[];
  readonly ignoreEnd?: boolean;
  readonly chunk?: number;
}

export interface GenerateResult {
  readonly text: string;
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly seed: number;
  readonly policy: {
    readonly name: string;
    readonly active: boolean;
    readonly evicted: number;
    readonly prefill: "exact" | "chunked";
  };
  readonly cache: {
    readonly rows: readonly (readonly number[])[];
    readonly bytes: number;
    readonly roomBytes: number;
    readonly peakBytes: number;
    readonly kept?: {
      readonly afterPrefill: number[][][];
      readonly atEnd: number[][][];
    };
  };
  readonly timings: {
    readonly prefillSeconds: number;
    readonly decodeSeconds: number;
    readonly prefillTokensPerSecond: number;
    readonly decodeTokensPerSecond: number;
  };
}

export class Generation<Piece, Result> implements AsyncIterable<Piece> {
  constructor(pieces: AsyncGenerator<Piece, Result>);
  get result(): Promise<Result>;
  [Symbol.asyncIterator](): AsyncIterator<Piece, void>;
}

export interface LoadOptions {
  readonly backend: Backend;
  readonly weights?: WeightDType;
  readonly rows?: RowDType;
  readonly contextLength?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly onDownload?: NonNullable<HubOptions["onProgress"]>;
  readonly signal?: AbortSignal;
}

export interface LoadWeightsOptions {
  readonly backend: Backend;
  readonly dtype: WeightDType | undefined;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
}

export interface LoadedWeights {
  readonly bytes: number;
  forward(rows: number): Promise<Forward>;
  free(): void;
}

export interface LogProbabilitiesEachOptions {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly prompt: Prompt;
  readonly ids: readonly number[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

export interface Message {
  readonly role: string;
  readonly content: string;
}

export class Model {
  readonly name: string;
  readonly facts: ModelFacts;
  readonly backend: Backend;
  readonly rowDType: RowDType;
  readonly tokenizer: Tokenizer | undefined;
  readonly chat: Chat | undefined;
  readonly weightBytes: number;
  readonly prefills: Lock;
  readonly ropes: RopeTables;
  constructor(
    name: string,
    facts: ModelFacts,
    weights: LoadedWeights,
    options: LoadOptions,
    tokenizer?: Tokenizer,
    chat?: Chat,
  );
  forward(rows: number): Promise<Forward>;
  free(): void;
}

export interface ModelFacts {
  readonly architecture: string;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly cache: CacheShape;
  readonly ropes: readonly Rope[];
  readonly endTokens: readonly number[];
}

export interface ModelFiles {
  readonly name: string;
  open(file: string): Promise<FileSource | undefined>;
  list?(): Promise<readonly string[]>;
}

export type ModelSource = string | URL | ModelFiles | File | Iterable<string | URL> | Iterable<File>;

export interface OpenedModel {
  readonly facts: ModelFacts;
  weightBytes(source: WeightSource, dtype: WeightDType | undefined): number;
  load(source: WeightSource, options: LoadWeightsOptions): Promise<LoadedWeights>;
}

export interface Piece {
  readonly sequence: number;
  readonly ids: readonly number[];
  readonly text: string;
  readonly logits?: Float32Array;
}

export type Prompt = string | readonly Message[] | readonly number[] | Int32Array;

export interface RemoteOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly name?: string;
}

export class RequestError extends Error {
  readonly name = "RequestError";
}

export interface Rope {
  readonly frequencies: Float32Array;
  readonly factor: number;
  readonly contextLength?: number;
}

export interface SamplingOptions {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
}

export class Session {
  readonly model: Model;
  readonly policy: Policy;
  constructor({ model, policy, maxCacheBytes }: SessionOptions);
  get seen(): number;
  get closed(): boolean;
  get rows(): number[][];
  get cacheBytes(): number;
  get origin(): SessionOrigin;
  kept(): Promise<number[][][]>;
  generate(request: TurnRequest): Generation<GeneratePiece, GenerateResult>;
  read(
    prompt: Prompt,
    {
      chunk,
      signal,
    }?: {
      chunk?: number;
      signal?: AbortSignal;
    },
  ): Promise<void>;
  logProbabilities(ids: readonly number[] | Int32Array, options?: LogProbabilityOptions): Promise<Float32Array>;
  fork(): Promise<Session>;
  close(): void;
}

export interface SessionOptions {
  readonly model: Model;
  readonly policy: Policy;
  readonly maxCacheBytes?: number;
}

export interface SessionOrigin {
  readonly chosenAt: number;
  readonly forkedAt: number | undefined;
}

export type StoredDType = WeightDType | LoadOnlyDType;

export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly group?: number;
  read(rows?: RowRange, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

export class TemplateError extends Error {
  readonly name = "TemplateError";
}

export interface TextStream {
  push(id: number): string;
  end(): string;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  readonly named: Readonly<Record<string, string>>;
  readonly chatTemplate: string | undefined;
  encode(text: string, options?: EncodeOptions): number[];
  decode(ids: readonly number[], options?: DecodeOptions): string;
  stream(options?: DecodeOptions): TextStream;
  idOf(token: string): number | undefined;
  readonly specialTokens: readonly string[];
  isSpecial(id: number): boolean;
}

export class TokenizerError extends Error {
  readonly name = "TokenizerError";
}

export interface TurnOptions {
  readonly readEvery?: number;
  readonly logits?: boolean;
  readonly kept?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
  readonly onEvent?: (event: CacheEvent) => void;
}

export interface TurnRequest extends Omit<GenerateRequest, "policy">, TurnOptions {}

export interface WeightSource {
  readonly name: string;
  readonly names: readonly string[];
  readonly types: ReadonlyMap<string, number>;
  has(tensor: string): boolean;
  tensor(name: string): StoredTensor;
}

export function blobs(files: Readonly<Record<string, Blob>>, name?: string): ModelFiles;

export function chatOf(tokenizer: Tokenizer): Chat;

export function convert(
  bytes: Uint8Array,
  from: StoredDType,
  to: WeightDType,
  shape: readonly number[],
  name?: string,
  {
    into,
    row,
  }?: {
    readonly into?: Uint8Array<ArrayBuffer>;
    readonly row?: number;
  },
): Uint8Array;

export const families: readonly Family[];

export function fit({ model, tokens, maxTokens, chunk, maxCacheBytes, policy }: FitOptions): Fit;

export function generate(options: GenerateOptions): Generation<GeneratePiece, GenerateResult>;

export function generateBatch({
  model,
  requests,
  ...options
}: GenerateBatchOptions): Generation<Piece, GenerateResult[]>;

export function generateEach({
  model,
  policies,
  signal,
  onProgress,
  ...request
}: GenerateEachOptions): AsyncGenerator<EachResult>;

export function ggufWeights(gguf: Gguf, architecture: keyof typeof architectures, headSize: number): WeightSource;

export function loadModel(source: ModelSource, options: LoadOptions): Promise<Model>;

export function loadTokenizer(files: ModelFiles): Promise<Tokenizer | undefined>;

export function logProbabilities(
  model: Model,
  ids: readonly number[] | Int32Array,
  signal?: AbortSignal,
): Promise<Float32Array>;

export function logProbabilitiesEach({
  model,
  policies,
  prompt,
  ids,
  signal,
  onProgress,
}: LogProbabilitiesEachOptions): AsyncGenerator<EachLogProbabilities>;

export function makeTokenizer(json: unknown, config?: unknown, name?: string): Tokenizer;

export function memoryFiles(files: Readonly<Record<string, Uint8Array | string>>, name?: string): ModelFiles;

export function modelFiles(source: ModelSource, options?: HubOptions): Promise<ModelFiles>;

export function openModel(
  source: ModelSource,
  { contextLength, onDownload, signal }?: Pick<LoadOptions, "contextLength" | "onDownload" | "signal">,
): Promise<OpenedModel & Pick<Checkpoint, "name" | "tokenizer" | "weights">>;

export function openWeights(files: ModelFiles): Promise<WeightSource>;

export function readGguf(source: FileSource, file: string): Promise<Gguf>;

export function readSafetensors(source: FileSource, file: string): Promise<WeightSource>;

export function remote(url: string | URL, { headers, signal, name }?: RemoteOptions): ModelFiles;

// @ziggurat/runtime/node

export interface HubOptions extends RepositoryOptions {
  readonly cache?: string;
  readonly inPlace?: boolean;
  readonly onProgress?: (file: string, done: number, total: number) => void;
}

export const file: (path: string) => ModelFiles;

export function folder(path: string): ModelFiles;

export function hub(given: string, options?: HubOptions): ModelFiles;

export function namedFiles(name: string, options?: HubOptions): Promise<ModelFiles>;
