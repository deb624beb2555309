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
  prompt(messages: readonly Message[], options?: ChatOptions): number[];
  promptAsync(
    messages: readonly Message[],
    options?: ChatOptions & {
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<number[]>;
  render(
    messages: readonly Message[],
    options?: ChatOptions & {
      readonly taken?: string;
    },
  ): Rendering;
  quote(text: string, mark: string): string;
}

export interface ChatOptions {
  readonly generationPrompt?: boolean;
  readonly continueFinal?: boolean;
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

export class ConfigError extends Error {
  readonly name = "ConfigError";
}

export class DownloadError extends Error {
  readonly name = "DownloadError";
}

export interface EncodeOptions {
  readonly special?: boolean;
  readonly ignore?: string;
  readonly addSpecialTokens?: boolean;
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
  readonly signal?: AbortSignal;
  readonly policy: (keep: number) => Policy;
}

export class FormatError extends Error {
  readonly name = "FormatError";
}

export interface GenerateBatchOptions extends TurnOptions {
  readonly model: Model;
  readonly requests: readonly GenerateRequest[];
  readonly maxCacheBytes?: number;
}

export interface GenerateOptions extends GenerateRequest, TurnOptions {
  readonly model: Model;
  readonly maxCacheBytes?: number;
}

export type GeneratePiece = Omit<Piece, "sequence">;

export interface GenerateRequest extends SamplingOptions {
  readonly policy: Policy;
  readonly prompt: Prompt;
  readonly templateVariables?: Readonly<Record<string, unknown>>;
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

export interface LoadOptions extends OpenOptions {
  readonly backend: Backend;
  readonly weights?: WeightDType;
  readonly rows?: RowDType;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Message {
  readonly role: string;
  readonly content?: string | readonly TextPart[] | null;
  readonly [field: string]: unknown;
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
  readonly outputGram: (layer: number) => Promise<Slice>;
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

export interface OpenOptions {
  readonly families?: readonly Family[];
  readonly contextLength?: number;
  readonly onDownload?: NonNullable<HubOptions["onProgress"]>;
  readonly signal?: AbortSignal;
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

export interface Rendering {
  readonly text: string;
  readonly mark: string;
}

export class RequestError extends Error {
  readonly name = "RequestError";
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
  constructor(options: SessionOptions);
  get seen(): number;
  get closed(): boolean;
  get rows(): number[][];
  get cacheBytes(): number;
  get origin(): SessionOrigin;
  kept(): Promise<number[][][]>;
  generate(request: TurnRequest): Generation<GeneratePiece, GenerateResult>;
  read(prompt: Prompt, options?: SessionReadOptions): Promise<void>;
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

export interface SessionReadOptions {
  readonly chunk?: number;
  readonly signal?: AbortSignal;
  readonly templateVariables?: Readonly<Record<string, unknown>>;
}

export class TemplateError extends Error {
  readonly name = "TemplateError";
}

export interface TextPart {
  readonly type: "text";
  readonly text: string;
  readonly [field: string]: unknown;
}

export interface TokenDecodeOptions {
  readonly skipSpecial?: boolean;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  readonly named: Readonly<Record<string, string>>;
  readonly chatTemplate: string | undefined;
  readonly chatTemplates: Readonly<Record<string, string>>;
  encode(text: string, options?: EncodeOptions): number[];
  encodeAsync(
    text: string,
    options?: EncodeOptions & {
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<number[]>;
  decode(ids: readonly number[], options?: TokenDecodeOptions): string;
  stream(options?: TokenDecodeOptions): TextStream;
  idOf(token: string): number | undefined;
  readonly specialTokens: readonly string[];
  isSpecial(id: number): boolean;
  readonly endTokens: readonly number[];
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

export function blobs(files: Readonly<Record<string, Blob>>, name?: string): ModelFiles;

export function fit(options: FitOptions): Promise<Fit>;

export function generate(options: GenerateOptions): Generation<GeneratePiece, GenerateResult>;

export function generateBatch(options: GenerateBatchOptions): Generation<Piece, GenerateResult[]>;

export function loadModel(source: ModelSource, options: LoadOptions): Promise<Model>;

export function memoryFiles(files: Readonly<Record<string, Uint8Array | string>>, name?: string): ModelFiles;

export function modelFiles(source: ModelSource, options?: HubOptions): Promise<ModelFiles>;

export function openModel(
  source: ModelSource,
  options?: OpenOptions,
): Promise<OpenedModel & Pick<Checkpoint, "name" | "tokenizer" | "weights">>;

export function remote(url: string | URL, options?: RemoteOptions): ModelFiles;

// @ziggurat/runtime/evaluate

export interface EachLogProbabilities
  extends Pick<EachResult, "promptTokens" | "policy" | "cache" | "timings" | "policySeconds"> {
  readonly logProbabilities: Float32Array;
}

export interface EachResult extends GenerateResult {
  readonly policySeconds: number;
}

export interface GenerateEachOptions extends Omit<GenerateRequest, "policy" | "chunk"> {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
  readonly onPiece?: (piece: GeneratePiece, policy: number) => void;
}

export interface LogProbabilitiesEachOptions {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly prompt: Prompt;
  readonly templateVariables?: Readonly<Record<string, unknown>>;
  readonly ids: readonly number[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

export function generateEach(options: GenerateEachOptions): AsyncGenerator<EachResult>;

export function logProbabilities(
  model: Model,
  ids: readonly number[] | Int32Array,
  signal?: AbortSignal,
): Promise<Float32Array>;

export function logProbabilitiesEach(options: LogProbabilitiesEachOptions): AsyncGenerator<EachLogProbabilities>;

// @ziggurat/runtime/formats

export interface ConvertOptions {
  readonly into?: Uint8Array<ArrayBuffer>;
  readonly row?: number;
}

export interface Gguf {
  readonly file: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
}

export type StoredDType = WeightDType | LoadOnlyDType;

export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly group?: number;
  read(rows?: RowRange, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

export interface WeightSource {
  readonly name: string;
  readonly names: readonly string[];
  readonly types: ReadonlyMap<string, number>;
  has(tensor: string): boolean;
  tensor(name: string): StoredTensor;
}

export function convert(
  bytes: Uint8Array,
  from: StoredDType,
  to: WeightDType,
  shape: readonly number[],
  name?: string,
  options?: ConvertOptions,
): Uint8Array;

export function openWeights(files: ModelFiles): Promise<WeightSource>;

export function readGguf(source: FileSource, file: string): Promise<Gguf>;

export function readSafetensors(source: FileSource, file: string): Promise<WeightSource>;

// @ziggurat/runtime/families

export interface Configuration {
  readonly json: unknown;
  readonly file: string;
  readonly generation: unknown;
  readonly generationFile: string;
}

export interface Decoder extends Sizes {
  readonly architecture: string;
  readonly generation: GenerationConfig;
  readonly layerList: readonly DecoderLayer[];
  readonly activation: "silu" | "gelu";
  readonly tiedEmbeddings: boolean;
  readonly attentionScale: number;
  readonly attentionSoftcap: number;
  readonly logitSoftcap: number;
  readonly embeddingScale: number;
  readonly normOffset: 0 | 1;
}

export interface DecoderLayer {
  readonly window: number | undefined;
  readonly rope: Rope;
  readonly attentionNorm: string;
  readonly qkv: Projection;
  readonly headNorms?: {
    readonly query: string;
    readonly key: string;
  };
  readonly output: Projection;
  readonly attentionEndNorm?: string;
  readonly feedForwardNorm: string;
  readonly gateUp: Projection;
  readonly down: Projection;
  readonly feedForwardEndNorm?: string;
}

export interface Family {
  readonly architectures: readonly string[];
  readonly gguf?: GgufForm;
  readonly open: (configuration: Configuration, contextLength?: number) => OpenedModel;
}

export interface Forward {
  embed(ids: Slice, x: Slice): void;
  layer(layer: number, x: Slice, attend: (qkv: Slice, out: Slice) => void): void;
  head(x: Slice, logits: Slice): void;
  readonly qkv: Slice;
  readonly out: Slice;
  free(): void;
}

export interface GgufFacts {
  get(key: string): MetadataValue | undefined;
  readonly layers: unknown;
  readonly hiddenSize: unknown;
  readonly queryHeads: unknown;
  readonly headSize: number;
}

export interface GgufForm {
  readonly architecture: string;
  readonly matches?: (facts: GgufFacts) => boolean;
  readonly config?: (facts: GgufFacts) => Readonly<Record<string, unknown>>;
  readonly tensors?: Readonly<Record<string, string>>;
  readonly interleaved?: boolean;
  readonly normOffset?: number;
}

export interface LayerOptions {
  readonly rope: Rope;
  readonly window?: number | undefined;
  readonly qkvBias?: boolean;
  readonly outputBias?: boolean;
  readonly feedForwardBias?: boolean;
}

export interface LoadWeightsOptions {
  readonly backend: Backend;
  readonly dtype: WeightDType | undefined;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
}

export interface LoadedWeights {
  readonly bytes: number;
  forward(rows: number): Promise<Forward>;
  outputGram(layer: number): Promise<Slice>;
  free(): void;
}

export interface ModelConfig {
  readonly fields: Fields;
  readonly sizes: Sizes;
  readonly generation: GenerationConfig;
  readonly longest: number;
}

export interface OpenedModel {
  readonly facts: ModelFacts;
  weightBytes(source: WeightSource, dtype: WeightDType | undefined): number;
  load(source: WeightSource, options: LoadWeightsOptions): Promise<LoadedWeights>;
}

export interface Projection {
  readonly names: readonly string[];
  readonly rows: readonly number[];
  readonly width: number;
  readonly bias: boolean;
}

export interface Rope {
  readonly frequencies: Float32Array;
  readonly factor: number;
  readonly contextLength?: number;
}

export function decoderModel(decoder: Decoder): OpenedModel;

export const families: readonly Family[];

export const gemma3: Family;

export const llama: Family;

export function llamaDecoder(
  { fields, sizes, generation }: ModelConfig,
  contextLength: number | undefined,
  layer: (index: number) => DecoderLayer,
): Decoder;

export function llamaLayer(
  sizes: Sizes,
  index: number,
  { rope, window, qkvBias, outputBias, feedForwardBias }: LayerOptions,
): DecoderLayer;

export const mistral: Family;

export const oneRope: ({ fields, sizes: { headSize, contextLength }, longest }: ModelConfig, theta: number) => Rope;

export const phi3: Family;

export const qwen2: Family;

export const qwen3: Family;

export function readConfig(
  { json, file, generation, generationFile }: Configuration,
  contextLength?: number,
  missing?: {
    headSize?: number;
  },
): ModelConfig;

export const withHeadNorms: (layer: DecoderLayer, index: number) => DecoderLayer;

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
