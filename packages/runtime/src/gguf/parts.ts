import { ConfigError, FormatError, show } from "../error.js";
import type { ModelFiles } from "../files/files.js";
import { type Gguf, readGguf, readPart } from "./gguf.js";
import type { PlacedTensor } from "./tensors.js";

// A model may be cut into several GGUF files, as llama.cpp's gguf-split does: x-00001-of-00003.gguf and so on. The
// first part holds all metadata, and each part its own tensors.

/** Names of all parts of the model that a GGUF file belongs to, in order. For a whole model, the name itself. */
export function partsOf(name: string): string[] {
  const found = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i.exec(name);
  const count = Number(found?.[3] ?? 0);
  if (count < 2 || count > mostParts || !(Number(found![2]) >= 1 && Number(found![2]) <= count)) return [name];
  const ending = name.slice(-".gguf".length);
  return Array.from(
    { length: count },
    (_, part) => `${found![1]}-${String(part + 1).padStart(5, "0")}-of-${found![3]}${ending}`,
  );
}
const mostParts = 1000;

/** The GGUF file of this name and the other parts of its model, without the other files. */
export function onlyParts(files: ModelFiles, name: string): ModelFiles {
  const parts = partsOf(name);
  return {
    name: files.name,
    list: async () => parts,
    open: async (file) => (parts.includes(file) ? files.open(file) : undefined),
  };
}

/**
 * Opens the one model in the GGUF files. Rejects with a `ConfigError` if there is none or more than one, and with a
 * {@link FormatError} if parts are missing or disagree.
 */
export async function openParts(files: ModelFiles): Promise<Gguf> {
  const names = ((await files.list?.()) ?? []).filter((name) => /\.gguf$/i.test(name));
  const models = [...new Map(names.map((name) => [partsOf(name)[0]!, partsOf(name)])).values()];
  if (models.length !== 1) {
    const some = models.slice(0, 12).map(([first]) => first);
    const found =
      models.length === 0
        ? "no .gguf file"
        : `${models.length} models in .gguf files (${some.join(", ")}${models.length > 12 ? ", ..." : ""})`;
    throw new ConfigError(
      `${files.name}: has no config.json and ${found}; there must be a config.json, or one model: name its file`,
    );
  }
  const [parts] = models as [string[]];
  const sources = [];
  for (const part of parts) {
    const source = await files.open(part);
    if (!source)
      throw new FormatError(
        `${files.name}/${part}: is not there${parts.length > 1 ? `; the model has ${parts.length} parts` : ""}`,
      );
    sources.push(source);
  }
  if (sources.length === 1) return readGguf(sources[0]!, `${files.name}/${parts[0]}`);
  const ggufs: Gguf[] = [];
  for (const [index, source] of sources.entries()) ggufs.push(await readPart(source, `${files.name}/${parts[index]}`));
  return join(ggufs);
}

function join(parts: readonly Gguf[]): Gguf {
  const [first] = parts;
  const tensors = new Map<string, PlacedTensor>();
  for (const [index, { file, metadata, tensors: own }] of parts.entries()) {
    const said = [metadata.get("split.no"), metadata.get("split.count")];
    if (said[0] !== index || said[1] !== parts.length) {
      throw new FormatError(
        `${file}: says that it is part ${show(said[0])} (from 0) of ${show(said[1])}; by its name it is ${index} of ${parts.length}`,
      );
    }
    for (const [name, tensor] of own) {
      if (tensors.has(name)) throw new FormatError(`${file}: has the tensor "${name}", which an earlier part has too`);
      tensors.set(name, tensor);
    }
  }
  const count = first!.metadata.get("split.tensors.count");
  if (count !== undefined && count !== tensors.size) {
    throw new FormatError(`${first!.file}: says that the parts have ${show(count)} tensors; they have ${tensors.size}`);
  }
  return { file: first!.file, metadata: first!.metadata, tensors };
}
