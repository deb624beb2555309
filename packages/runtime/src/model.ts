import { type Backend, type RowDType, rowDTypes, type Slice, type WeightDType, weightDTypes } from "@ziggurat/tensor";
import { Lock } from "./engine/lock.js";
import { RopeTables } from "./engine/rope-tables.js";
import { ConfigError, RequestError, show } from "./error.js";
import type { Family, Forward, LoadedWeights, ModelFacts, OpenedModel } from "./families/family.js";
import { expertsOf } from "./families/model-config.js";
import { families as knownFamilies } from "./families.js";
import { type Checkpoint, openCheckpoint } from "./files/checkpoint.js";
import { isRecord } from "./files/files.js";
import type { HubOptions } from "./files/hub-repository.js";
import { type ModelSource, modelFiles } from "./files/model-files.js";
import { checkCallback, checkSignal, knownOptions, type OptionNames } from "./options.js";
import { type Chat, chatOf } from "./text/chat.js";
import { endTokensOf } from "./text/end-of-turn.js";
import type { Tokenizer } from "./text/tokenizer.js";

export interface OpenOptions {
  /** The families to choose from, by the architecture that the files name. The first that has it is taken. */
  readonly families?: readonly Family[];
  /**
   * The most tokens that will be read. Default: what the model can. Phi-3's long variants, and others with longrope,
   * have one set of rotary factors for texts within the length that they were first trained for, and one for longer
   * texts: this chooses.
   */
  readonly contextLength?: number;
  /** Called while files of the hub are downloaded: the file, bytes done, of all of that file. */
  readonly onDownload?: NonNullable<HubOptions["onProgress"]>;
  /**
   * Ends the loading, downloads included: it rejects with the signal's reason, and what was allocated is freed. Without
   * it, a server that stops responding is waited for forever.
   */
  readonly signal?: AbortSignal;
}

export interface LoadOptions extends OpenOptions {
  readonly backend: Backend;
  /** The dtype of matrices on the device. Default: as in the files. `q8_0` is quantised while loading. */
  readonly weights?: WeightDType;
  /** The dtype of rows of K and V. Default bf16. */
  readonly rows?: RowDType;
  /** Called with the bytes loaded so far, of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

const openOptions: OptionNames<OpenOptions> = { families: true, contextLength: true, onDownload: true, signal: true };
const loadOptions: OptionNames<LoadOptions> = {
  backend: true,
  weights: true,
  rows: true,
  ...openOptions,
  onProgress: true,
};

/**
 * A model on a device, with its tokenizer. {@link loadModel} makes it; all its generations and sessions share its
 * weights.
 */
export class Model {
  readonly name: string;
  readonly facts: ModelFacts;
  readonly backend: Backend;
  /** The dtype of rows of K and V. */
  readonly rowDType: RowDType;
  /** Undefined for a model without one, which runs on token ids. */
  readonly tokenizer: Tokenizer | undefined;
  /** Undefined for a model without a chat template, which takes no messages. */
  readonly chat: Chat | undefined;
  /** Bytes of the weights on the device. */
  readonly weightBytes: number;
  /** Prefills of one model wait for each other, since they share the memory of the scratch. */
  readonly prefills = new Lock();
  readonly ropes: RopeTables;
  readonly #weights: LoadedWeights;

  constructor(
    name: string,
    facts: ModelFacts,
    weights: LoadedWeights,
    options: LoadOptions,
    tokenizer?: Tokenizer,
    chat?: Chat,
  ) {
    this.name = name;
    this.facts = facts;
    this.backend = options.backend;
    this.rowDType = options.rows ?? "bf16";
    this.tokenizer = tokenizer;
    this.chat = chat;
    this.weightBytes = weights.bytes;
    this.#weights = weights;
    this.ropes = new RopeTables(options.backend, facts.ropes);
  }

  /** A pass over `rows` rows, with a new workspace. For the runtime's use. */
  forward(rows: number): Promise<Forward> {
    return this.#weights.forward(rows);
  }

  /** Gram matrices of a layer's output projection. For the runtime's use. */
  readonly outputGram = (layer: number): Promise<Slice> => this.#weights.outputGram(layer);

  /** Frees the weights. Generations and sessions of this model must have ended. */
  free(): void {
    this.#weights.free();
    this.ropes.free();
  }
}

/** Throws a `RequestError` for anything but a model, such as the promise of one. */
export function checkModel(model: unknown): void {
  if (typeof (model as Partial<Model> | null | undefined)?.forward === "function") return;
  const what =
    model instanceof Promise
      ? "a promise; await loadModel(...)"
      : `${show(model)}; it must be what loadModel resolves to`;
  throw new RequestError(`the model is ${what}`);
}

/**
 * Opens a model by its configuration: facts, and the tokenizer and the weights when they are asked for. Rejects with a
 * `ConfigError` if the architecture is not known or the configuration is wrong, and with a `FormatError` if a file
 * cannot be read.
 */
export async function openModel(
  source: ModelSource,
  options: OpenOptions = {},
): Promise<OpenedModel & Pick<Checkpoint, "name" | "tokenizer" | "weights">> {
  knownOptions("openModel", options, openOptions);
  return open(source, options);
}

async function open(source: ModelSource, { families = knownFamilies, contextLength, onDownload, signal }: OpenOptions) {
  if (contextLength !== undefined && (!Number.isSafeInteger(contextLength) || contextLength < 1)) {
    throw new RequestError(`contextLength is ${show(contextLength)}; it must be a whole number of tokens, at least 1`);
  }
  checkFamilies(families);
  checkCallback("onDownload", onDownload);
  checkSignal(signal);
  signal?.throwIfAborted();
  const files = await modelFiles(source, {
    ...(onDownload ? { onProgress: onDownload } : {}),
    ...(signal ? { signal } : {}),
  });
  const { name, configuration, tokenizer, weights } = await openCheckpoint(files, families);
  const json = isRecord(configuration.json) ? configuration.json : {};
  const architecture: unknown = Array.isArray(json.architectures) ? json.architectures[0] : undefined;
  const family = families.find(({ architectures }) => architectures.some((known) => known === architecture));
  if (!family) {
    const known = families.flatMap(({ architectures }) => architectures).join(", ");
    const experts = expertsOf(json);
    throw new ConfigError(
      `${configuration.file}: architecture ${show(architecture ?? null)} ${
        experts === undefined ? "" : `(a mixture of experts: ${experts}) `
      }is not supported; supported are ${known}`,
    );
  }
  return { ...family.open(configuration, contextLength), name, tokenizer, weights };
}

function checkFamilies(families: unknown): void {
  const right = (family: Partial<Family> | null) =>
    Array.isArray(family?.architectures) && typeof family.open === "function";
  if (!Array.isArray(families) || families.length === 0 || !families.every(right))
    throw new RequestError(
      `families is ${show(families)}; it must be a list of model families, each with architectures and open`,
    );
}

/**
 * Loads a model's weights onto a backend, tensor by tensor, and its tokenizer. Rejects with a `RequestError` for wrong
 * options and for weights larger than the backend; with a `ConfigError`, `FormatError` or `TokenizerError` that names
 * file and place; with a `DownloadError` if it cannot be fetched. What was allocated is freed then.
 */
export async function loadModel(source: ModelSource, options: LoadOptions): Promise<Model> {
  knownOptions("loadModel", options, loadOptions);
  const { backend, weights: dtype, signal } = options;
  checkBackend(backend);
  checkCallback("onProgress", options.onProgress);
  if (dtype !== undefined && !weightDTypes.includes(dtype))
    throw new RequestError(`weights is ${show(dtype)}; it must be ${weightDTypes.join(", ")}`);
  if (options.rows !== undefined && !rowDTypes.includes(options.rows)) {
    throw new RequestError(`rows is ${show(options.rows)}; it must be ${rowDTypes.join(", ")}`);
  }
  const opened = await open(source, options);
  const tokenizer = await opened.tokenizer();
  const chat = tokenizer && Object.keys(tokenizer.chatTemplates).length > 0 ? chatOf(tokenizer) : undefined;
  const { endTokens: named, vocabularySize } = opened.facts;
  const facts = { ...opened.facts, endTokens: endTokensOf(named, vocabularySize, tokenizer, chat) };
  const stored = await opened.weights();
  const bytes = opened.weightBytes(stored, dtype);
  const free = backend.info.maxBytes - backend.memory().live;
  if (bytes > free)
    throw new RequestError(
      `${opened.name}: its weights take ${bytes} bytes; the ${backend.info.name} backend has ${free} left`,
    );
  const onProgress = (done: number, total: number) => {
    signal?.throwIfAborted();
    options.onProgress?.(done, total);
  };
  const weights = await opened.load(stored, { backend, dtype, onProgress });
  return new Model(opened.name, facts, weights, options, tokenizer, chat);
}

function checkBackend(backend: unknown): void {
  if (typeof (backend as Partial<Backend> | null | undefined)?.prepare === "function") return;
  const what =
    backend instanceof Promise ? "a promise; await cpu()" : `${show(backend)}; it must be such as await cpu()`;
  throw new RequestError(`backend is ${what}`);
}
