import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { FormatError, show } from "../error.js";
import type { ModelFiles } from "./files.js";
import { file, folder } from "./folder.js";
import { hub } from "./hub.js";
import type { HubOptions } from "./hub-repository.js";

/**
 * The files that a name means: a folder or a .gguf file on disk if there is one, otherwise a repository of the hub (see
 * {@link hub}). Rejects with a `FormatError` or a `DownloadError` if it can be neither.
 */
export async function namedFiles(name: string, options: HubOptions = {}): Promise<ModelFiles> {
  const path = name.replace(/^~(?=$|[/\\])/, () => homedir());
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) return folder(path);
  if (info && /\.gguf$/i.test(path)) return file(path);
  const right =
    "give a folder with config.json, tokenizer.json and *.safetensors, a .gguf file, or a repository of the hub as owner/name";
  if (info) throw new FormatError(`${show(name)} is a file and no .gguf file; ${right}`);
  // ./a/b, a\b and a single word are paths.
  if (
    !/^[\w-][\w.-]*\/[\w.-]+(\/[\w./-]+\.gguf)?(@|$)/i.test(name) ||
    (/\.gguf$/i.test(name) && name.split("/").length === 2)
  )
    throw new FormatError(`there is no ${show(name)}; ${right}`);
  return hub(name, options);
}
