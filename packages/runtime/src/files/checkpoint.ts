import { ggufConfig } from "../gguf/config.js";
import { type Gguf, ggufWeights } from "../gguf/gguf.js";
import { openParts } from "../gguf/parts.js";
import { ggufTokenizer } from "../gguf/tokenizer.js";
import { loadTokenizer, type Tokenizer } from "../text/tokenizer.js";
import { openWeights } from "../weights/open.js";
import type { WeightSource } from "../weights/source.js";
import { type ModelFiles, readJson } from "./files.js";

/** What a model says of itself, as parsed JSON that is yet unchecked, and the file names for errors. */
export interface Configuration {
  readonly json: unknown;
  readonly file: string;
  readonly generation: unknown;
  readonly generationFile: string;
}

/**
 * A model's files, whatever their format: a folder as transformers writes it, or a GGUF file, in parts or not. Nothing
 * of the weights is read yet.
 */
export interface Checkpoint {
  /** For reports. */
  readonly name: string;
  readonly configuration: Configuration;
  /** Undefined where there is none. Rejects with a `TokenizerError`, or a `FormatError` where a file is not JSON. */
  tokenizer(): Promise<Tokenizer | undefined>;
  /** Rejects with a `FormatError`. */
  weights(): Promise<WeightSource>;
}

/**
 * Rejects with a `ConfigError` where there is neither a config.json nor one model in GGUF files, with a `FormatError`
 * where what there is cannot be read.
 */
export async function openCheckpoint(files: ModelFiles): Promise<Checkpoint> {
  const json = await readJson(files, "config.json");
  if (json === undefined) return openGguf(files);
  return {
    name: files.name,
    configuration: {
      json,
      file: `${files.name}/config.json`,
      generation: await readJson(files, "generation_config.json"),
      generationFile: `${files.name}/generation_config.json`,
    },
    tokenizer: () => loadTokenizer(files),
    weights: () => openWeights(files),
  };
}

async function openGguf(files: ModelFiles): Promise<Checkpoint> {
  const gguf = await openParts(files);
  const { file } = gguf;
  const { architecture, headSize, config, generation } = await ggufConfig(gguf);
  return {
    name: nameOf(gguf),
    configuration: { json: config, file, generation, generationFile: file },
    tokenizer: async () => ggufTokenizer(gguf.metadata, file),
    weights: async () => ggufWeights(gguf, architecture, headSize),
  };
}

/** What the file calls the model, or the file's own name. */
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
