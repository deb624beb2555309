import { ConfigError, show } from "../error.js";
import { ggufConfig } from "../gguf/config.js";
import { type Gguf, ggufWeights } from "../gguf/gguf.js";
import type { GgufFamily } from "../gguf/names.js";
import { openParts } from "../gguf/parts.js";
import { ggufTokenizer } from "../gguf/tokenizer.js";
import { loadTokenizer, type Tokenizer } from "../text/tokenizer.js";
import { openWeights } from "../weights/open.js";
import type { WeightSource } from "../weights/source.js";
import type { Configuration } from "./config.js";
import { isRecord, type ModelFiles, readJson } from "./files.js";

/**
 * A model's files in either format: a folder as transformers writes it, or a GGUF file, whole or in parts. No weights
 * have been read yet.
 */
export interface Checkpoint {
  /** For reports. */
  readonly name: string;
  readonly configuration: Configuration;
  /** Undefined if there is none. Rejects with a `TokenizerError`, or a `FormatError` if a file is not JSON. */
  tokenizer(): Promise<Tokenizer | undefined>;
  /** Rejects with a `FormatError`. */
  weights(): Promise<WeightSource>;
}

/** The most bytes of a configuration file. */
const largestConfig = 2 ** 24;

/**
 * Opens a folder by its config.json, or else the one model in GGUF files, of one of `families`. Rejects with a
 * `ConfigError` if there is neither or if there is an adapter, and with a `FormatError` if a file cannot be read.
 */
export async function openCheckpoint(files: ModelFiles, families: readonly GgufFamily[]): Promise<Checkpoint> {
  const json = await readJson(files, "config.json", largestConfig);
  await refuseAdapter(files, json !== undefined);
  if (json === undefined) return openGguf(files, families);
  return {
    name: files.name,
    configuration: {
      json,
      file: `${files.name}/config.json`,
      generation: await readJson(files, "generation_config.json", largestConfig),
      generationFile: `${files.name}/generation_config.json`,
    },
    tokenizer: () => loadTokenizer(files),
    weights: () => openWeights(files),
  };
}

/** Throws a `ConfigError` if the files hold an adapter (of PEFT), alone or beside its base model. */
async function refuseAdapter(files: ModelFiles, besideModel: boolean): Promise<void> {
  const name = "adapter_config.json";
  const json = await readJson(files, name, largestConfig);
  if (json === undefined) return;
  const { peft_type: type, base_model_name_or_path: base } = isRecord(json) ? json : {};
  const what = `${typeof type === "string" ? `a ${type}` : "an"} adapter of ${show(base ?? "another model")}`;
  throw new ConfigError(
    besideModel
      ? `${files.name}: has ${name}, ${what}, beside the model, which would run without it; merge it, or remove the file`
      : `${files.name}: is ${what} (${name}), not a model; merge it into its base model first`,
  );
}

async function openGguf(files: ModelFiles, families: readonly GgufFamily[]): Promise<Checkpoint> {
  const gguf = await openParts(files);
  const { file } = gguf;
  const { form, headSize, config, generation } = await ggufConfig(gguf, families);
  return {
    name: nameOf(gguf),
    configuration: { json: config, file, generation, generationFile: file },
    tokenizer: async () => ggufTokenizer(gguf.metadata, file),
    weights: async () => ggufWeights(gguf, form, headSize),
  };
}

/** The model's name in the metadata, or the file's. */
function nameOf({ metadata, file }: Gguf): string {
  const given = metadata.get("general.name");
  const name =
    typeof given === "string"
      ? given
          .replace(/[\s\p{C}]+/gu, " ")
          .trim()
          .slice(0, 100)
      : "";
  return name || file.slice(file.lastIndexOf("/") + 1).replace(/(-\d{5}-of-\d{5})?\.gguf$/i, "");
}
