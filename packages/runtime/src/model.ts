import { type Backend, type RowDType, rowDTypes, type WeightDType, weightDTypes } from "@ziggurat/tensor";
import { Lock } from "./engine/lock.js";
import { RopeTables } from "./engine/rope-tables.js";
import { ConfigError, RequestError, show } from "./error.js";
import type { Family, Forward, LoadedWeights, ModelFacts, OpenedModel } from "./families/family.js";
import { gemma3 } from "./families/gemma3.js";
import { llama } from "./families/llama.js";
import { mistral } from "./families/mistral.js";
import { phi3 } from "./families/phi3.js";
import { qwen2 } from "./families/qwen2.js";
import { qwen3 } from "./families/qwen3.js";
import { type Checkpoint, openCheckpoint } from "./files/checkpoint.js";
import { isRecord } from "./files/files.js";
import type { HubOptions } from "./files/hub.js";
import { type ModelSource, modelFiles } from "./files/model-files.js";
import { type Chat, chatOf } from "./text/chat.js";
import { endTokensOf } from "./text/end-of-turn.js";
import type { Tokenizer } from "./text/tokenizer.js";

/** The model families that can be loaded; a new one is one file and a line here. */
export const families: readonly Family[] = [llama, mistral, qwen2, qwen3, gemma3, phi3];

export interface LoadOptions {
  readonly backend: Backend;
  /** What matrices are stored in on the device. Default: as in the files. `q8_0` is quantised while loading. */
  readonly weights?: WeightDType;
  /** What rows of K and V are stored in. Default bf16. */
  readonly rows?: RowDType;
  /**
   * The most tokens that will be read; default: what the model can. Phi-3's long variants, and others with longrope,
   * have one set of rotary factors for texts within the length that they were first trained for, and one beyond it:
   * this chooses.
   */
  readonly contextLength?: number;
  /** Told now and then: bytes loaded, of all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Told while files of the hub are downloaded: bytes done, of all of that file. */
  readonly onDownload?: NonNullable<HubOptions["onProgress"]>;
  /**
   * Ends the loading, downloads included: it rejects with the signal's reason, and what was allocated is freed. Of a
   * server that says nothing more nobody else tires.
   */
  readonly signal?: AbortSignal;
}

/**
 * A model on a device, with its tokenizer. Made by {@link loadModel}; all generations and sessions of it share its
 * weights.
 */
export class Model {
  readonly name: string;
  readonly facts: ModelFacts;
  readonly backend: Backend;
  /** What rows of K and V are stored in. */
  readonly rowDType: RowDType;
  /** Undefined for models without one: they run on token ids. */
  readonly tokenizer: Tokenizer | undefined;
  /** Undefined for models without one: they know no messages. */
  readonly chat: Chat | undefined;
  /** Bytes of the weights on the device. */
  readonly weightBytes: number;
  /** Prefills of one model wait for each other: they share the scratch's place in memory. */
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

  /** A pass over `rows` rows, with a workspace of its own. For the runtime's own use. */
  forward(rows: number): Promise<Forward> {
    return this.#weights.forward(rows);
  }

  /** Frees the weights. Generations and sessions of this model must have ended. */
  free(): void {
    this.#weights.free();
    this.ropes.free();
  }
}

/** Throws a `RequestError` for what is no model, such as the promise of one. */
export function checkModel(model: unknown): void {
  if (typeof (model as Partial<Model> | null | undefined)?.forward === "function") return;
  const what =
    model instanceof Promise
      ? "a promise; await loadModel(...)"
      : `${show(model)}; it must be what loadModel resolves to`;
  throw new RequestError(`the model is ${what}`);
}

/**
 * A model from its configuration alone: facts, the tokenizer and the weights where they are asked for. Rejects with a
 * `ConfigError` where the architecture is not known or the configuration cannot be, with a `FormatError` where a file
 * cannot be read.
 */
export async function openModel(
  source: ModelSource,
  { contextLength, onDownload, signal }: Pick<LoadOptions, "contextLength" | "onDownload" | "signal"> = {},
): Promise<OpenedModel & Pick<Checkpoint, "name" | "tokenizer" | "weights">> {
  if (contextLength !== undefined && (!Number.isSafeInteger(contextLength) || contextLength < 1)) {
    throw new RequestError(`contextLength is ${show(contextLength)}; it must be a whole number of tokens, at least 1`);
  }
  signal?.throwIfAborted();
  const files = await modelFiles(source, {
    ...(onDownload ? { onProgress: onDownload } : {}),
    ...(signal ? { signal } : {}),
  });
  const { name, configuration, tokenizer, weights } = await openCheckpoint(files);
  const named = isRecord(configuration.json) ? configuration.json.architectures : undefined;
  const architecture: unknown = Array.isArray(named) ? named[0] : undefined;
  const family = families.find(({ architectures }) => architectures.some((known) => known === architecture));
  if (!family) {
    const known = families.flatMap(({ architectures }) => architectures).join(", ");
    throw new ConfigError(
      `${configuration.file}: architecture ${show(architecture ?? null)} is not supported; supported are ${known}`,
    );
  }
  return { ...family.open(configuration, contextLength), name, tokenizer, weights };
}

/**
 * Loads a model's weights onto a backend, tensor by tensor, and its tokenizer. Rejects with a `ConfigError`,
 * `FormatError` or `TokenizerError` that names file and place, with a `DownloadError` where it cannot be fetched; what
 * was allocated is freed then.
 */
export async function loadModel(source: ModelSource, options: LoadOptions): Promise<Model> {
  const { backend, weights: dtype, signal } = options;
  if (dtype !== undefined && !weightDTypes.includes(dtype))
    throw new RequestError(`weights is ${show(dtype)}; it must be ${weightDTypes.join(", ")}`);
  if (options.rows !== undefined && !rowDTypes.includes(options.rows)) {
    throw new RequestError(`rows is ${show(options.rows)}; it must be ${rowDTypes.join(", ")}`);
  }
  const opened = await openModel(source, options);
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
