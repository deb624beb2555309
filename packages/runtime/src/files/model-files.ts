import { FormatError, show } from "../error.js";
import { checkCallback, checkSignal, knownOptions } from "../options.js";
import { blobs, type ModelFiles } from "./files.js";
import { type HubOptions, hubInPlace, hubNameOf, hubOptions } from "./hub-repository.js";
import { remote, remoteEach, webUrl } from "./remote.js";

/**
 * Where a model is. A string is a folder or a .gguf file on disk (in Node), a repository of the Hugging Face hub
 * ("owner/name", "owner/name@revision", "owner/name/file.gguf"), or the URL of a folder or of a .gguf file. A page
 * gives URLs or `File` objects of all files. Any other `ModelFiles` will do.
 */
export type ModelSource = string | URL | ModelFiles | File | Iterable<string | URL> | Iterable<File>;

/**
 * The part of this package that needs Node. It is no literal in `import()`, so bundlers for browsers leave it alone.
 */
const forNode: string = "@ziggurat/runtime/node";

/**
 * The files that a source means. `options` are for repositories of the hub. Rejects with a `RequestError` for a wrong
 * option, and with a `FormatError` or a `DownloadError` if the source is nothing of the kind.
 */
export async function modelFiles(source: ModelSource, options: HubOptions = {}): Promise<ModelFiles> {
  knownOptions("modelFiles", options, hubOptions);
  checkCallback("onProgress", options.onProgress);
  checkSignal(options.signal);
  if (typeof source === "string" || source instanceof URL) {
    const url = webUrl(source);
    const name = url ? hubNameOf(url, options) : (source as string);
    if (name === undefined) return remote(url!, { signal: options.signal });
    if (globalThis.process?.versions?.node === undefined) return hubInPlace(name, options);
    const node = (await import(/* @vite-ignore */ forNode)) as typeof import("../node.js");
    return url ? node.hub(name, options) : node.namedFiles(name, options);
  }
  if (typeof (source as Partial<ModelFiles> | null)?.open === "function") return source as ModelFiles;
  const many: readonly unknown[] = isFile(source) ? [source] : isIterable(source) ? [...source] : [];
  if (many.length > 0 && many.every(isFile))
    return blobs(Object.fromEntries(many.map((file) => [file.name, file])), "files");
  const urls = many.flatMap((one) => (typeof one === "string" || one instanceof URL ? (webUrl(one) ?? []) : []));
  if (urls.length === 0 || urls.length < many.length)
    throw new FormatError(
      `${show(source)} is no model; give a name, a path, a URL, a list of URLs or of File objects, or ModelFiles`,
    );
  return remoteEach(urls, { signal: options.signal });
}

const isFile = (value: unknown): value is File => typeof File === "function" && value instanceof File;
const isIterable = (value: unknown): value is Iterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.iterator in value;
