import { ConfigError } from "./error.js";
import { type ModelFiles, readJson } from "./files.js";
import { ggufConfig } from "./gguf/config.js";
import { ggufWeights, readGguf } from "./gguf/gguf.js";
import { ggufTokenizer } from "./gguf/tokenizer.js";
import { loadTokenizer, type Tokenizer } from "./tokenizer.js";
import { openWeights } from "./weights/open.js";
import type { WeightSource } from "./weights/source.js";

/** What a model says of itself, as parsed JSON that is yet unchecked, and the file names for errors. */
export interface Configuration {
  readonly json: unknown;
  readonly file: string;
  readonly generation: unknown;
  readonly generationFile: string;
}

/** A model's files, whatever their format: a folder as transformers writes it, or one GGUF file. Nothing of the weights is read yet. */
export interface Checkpoint {
  readonly configuration: Configuration;
  /** Undefined where there is none. Rejects with a `TokenizerError`, or a `FormatError` where a file is not JSON. */
  tokenizer(): Promise<Tokenizer | undefined>;
  /** Rejects with a `FormatError`. */
  weights(): Promise<WeightSource>;
}

/** Rejects with a `ConfigError` where there is neither a config.json nor one GGUF file, with a `FormatError` where what there is cannot be read. */
export async function openCheckpoint(files: ModelFiles): Promise<Checkpoint> {
  const json = await readJson(files, "config.json");
  if (json === undefined) return openGguf(files);
  return {
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
  const names = ((await files.list?.()) ?? []).filter((name) => /\.gguf$/i.test(name));
  if (names.length !== 1) {
    const found = names.length === 0 ? "no .gguf file" : `${names.length} .gguf files (${names.slice(0, 3).join(", ")})`;
    throw new ConfigError(`${files.name}: has no config.json and ${found}; there must be a config.json, or one .gguf file`);
  }
  const file = `${files.name}/${names[0]}`;
  const source = await files.open(names[0]!);
  if (!source) throw new ConfigError(`${file}: is listed but not there`);
  const gguf = await readGguf(source, file);
  const { architecture, headSize, config, generation } = await ggufConfig(gguf);
  return {
    configuration: { json: config, file, generation, generationFile: file },
    tokenizer: async () => ggufTokenizer(gguf.metadata, file),
    weights: async () => ggufWeights(gguf, architecture, headSize),
  };
}
