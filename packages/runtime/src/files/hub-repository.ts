import { DownloadError, reason, show } from "../error.js";
import { onlyParts } from "../gguf/parts.js";
import { type FileSource, isRecord, type ModelFiles } from "./files.js";
import { openRemote } from "./remote.js";

// A repository of models on a Hugging Face hub: its name, which files a revision of it has, and reading them in place.
// @huggingface/hub does the downloads (hub.ts), but bundlers for browsers find Node's modules in it, so that what a
// page needs is asked of the hub itself.

export interface RepositoryOptions {
  /** A branch, a tag or a commit. Default: the one after an @ in the name, or "main". */
  readonly revision?: string;
  /** For repositories that are gated or private. Default in Node: `$HF_TOKEN`. */
  readonly token?: string;
  /** Default: in Node `$HF_ENDPOINT`, otherwise https://huggingface.co. */
  readonly url?: string;
  readonly signal?: AbortSignal;
}

/** A repository that may exist. */
export interface Repository {
  /** owner/name */
  readonly name: string;
  readonly revision: string;
  /** The folder of it whose files are meant: "" for its root, else with a slash at its end. */
  readonly folder: string;
  /** The one file there that was named, a GGUF file. */
  readonly file: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly access: { readonly hubUrl: string; readonly accessToken?: string };
}

export interface Listing {
  readonly commit: string;
  readonly files: readonly ListedFile[];
}
export interface ListedFile {
  /** Its name in the folder. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256?: string;
}

const environment = (): Readonly<Record<string, string | undefined>> => globalThis.process?.env ?? {};

/**
 * The repository that a name means: "owner/name", then perhaps "/" and the path of a GGUF file in it, then perhaps "@"
 * and a revision. Throws a {@link DownloadError} where the name cannot be.
 */
export function repositoryOf(given: string, options: RepositoryOptions = {}): Repository {
  const [, path = "", after] = /^([^@]*)(?:@(.*))?$/s.exec(given) ?? [];
  const [, name, folder = "", file] =
    /^(?!.*\.\.)([\w.-]+(?:\/[\w.-]+)?)(?:\/((?:\w[\w.-]*\/){0,3})(\w[\w.-]*\.gguf))?$/i.exec(path) ?? [];
  if (name === undefined)
    throw new DownloadError(
      `${show(given)} is no name of a repository; it must be like "owner/name", "owner/name@revision" or "owner/name/file.gguf"`,
    );
  const revision = options.revision ?? after ?? "main";
  if (!/^(?!.*\.\.)\w[\w./-]{0,127}$/.test(revision))
    throw new DownloadError(`${name}: revision is ${show(revision)}; it must be a branch, a tag or a commit`);
  const token = options.token ?? environment().HF_TOKEN;
  const hubUrl = hubUrlOf(options);
  return {
    name,
    revision,
    folder,
    file,
    signal: options.signal,
    access: { hubUrl, ...(token ? { accessToken: token } : {}) },
  };
}

const hubUrlOf = ({ url }: RepositoryOptions): string =>
  (url ?? environment().HF_ENDPOINT ?? "https://huggingface.co").replace(/\/$/, "");

/**
 * What a page or a file of the hub is called by {@link repositoryOf}, where the URL is one; undefined for any other
 * URL.
 */
export function hubNameOf({ origin, pathname }: URL, options: RepositoryOptions = {}): string | undefined {
  if (origin !== new URL(hubUrlOf(options)).origin) return undefined;
  const [, name, revision, file] =
    /^\/([^/]+\/[^/]+)(?:\/(?:tree|blob|resolve)\/([^/]+)(?:\/(.+\.gguf))?)?\/?$/i.exec(pathname) ?? [];
  // Of two parts with such an ending, the second is a file.
  return name && !/\.gguf$/i.test(name)
    ? `${name}${file ? `/${file}` : ""}${revision ? `@${revision}` : ""}`
    : undefined;
}

/** What the hub has under that revision: its API's `revision` and `tree`. Rejects with a {@link DownloadError}. */
export async function listRepository({ name, revision, folder, access, signal }: Repository): Promise<Listing> {
  const api = `${access.hubUrl}/api/models/${name}`;
  const ask = async (url: string): Promise<{ readonly json: unknown; readonly next: string | undefined }> => {
    const response = await fetch(url, { headers: headersOf(access), signal: signal ?? null });
    if (!response.ok)
      throw Object.assign(new Error(`${access.hubUrl} answers ${response.status}`), { statusCode: response.status });
    return {
      json: await response.json(),
      next: /<([^>]+)>;\s*rel="?next/.exec(response.headers.get("link") ?? "")?.[1],
    };
  };
  try {
    const { json } = await ask(`${api}/revision/${encodeURIComponent(revision)}`);
    const sha = isRecord(json) ? json.sha : undefined;
    if (!isCommit(sha)) throw new DownloadError(`${name}: the hub calls its commit ${show(sha)}`);
    const files: ListedFile[] = [];
    let url: string | undefined = `${api}/tree/${sha}/${folder}`.replace(/\/$/, "");
    for (let pages = 0; url !== undefined && pages < mostPages; pages++) {
      const page = await ask(url);
      if (!Array.isArray(page.json)) throw new DownloadError(`${name}: the hub's list of files is ${show(page.json)}`);
      // Folders below hold other formats; names that lead elsewhere are nobody's files.
      for (const entry of page.json as unknown[]) files.push(...listed(entry, folder));
      url = page.next;
    }
    return { commit: sha, files };
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, name, `revision ${show(revision)}`, access);
  }
}

/** A page lists a thousand files. */
const mostPages = 20;

function listed(entry: unknown, folder: string): ListedFile[] {
  if (!isRecord(entry) || entry.type !== "file" || !Number.isSafeInteger(entry.size)) return [];
  const path = String(entry.path);
  if (!path.startsWith(folder) || !isFileName(path.slice(folder.length))) return [];
  const sha256 =
    isRecord(entry.lfs) && /^[0-9a-f]{64}$/.test(String(entry.lfs.oid)) ? { sha256: String(entry.lfs.oid) } : {};
  return [{ path: path.slice(folder.length), size: Number(entry.size), ...sha256 }];
}

const headersOf = ({ accessToken }: Repository["access"]): Record<string, string> =>
  accessToken ? { authorization: `Bearer ${accessToken}` } : {};

export const isCommit = (text: unknown): text is string => /^[0-9a-f]{7,64}$/.test(String(text));
export const isFileName = (text: unknown): text is string => /^\w[\w.-]*$/.test(String(text));

/** A file of a commit, read in place by HTTP range requests. Rejects with a {@link DownloadError}. */
export async function openInPlace(
  { name, folder, access, signal }: Repository,
  commit: string,
  { path, size }: ListedFile,
): Promise<FileSource> {
  const file = `${name}/${folder}${path}`;
  const source = await openRemote(file, new URL(`${access.hubUrl}/${name}/resolve/${commit}/${folder}${path}`), {
    headers: headersOf(access),
    signal,
  });
  if (source?.size !== size) throw sizeError(file, source?.size, size);
  return source;
}

export const sizeError = (file: string, has: number | undefined, listed: number): DownloadError =>
  new DownloadError(`${file}: the hub has ${has ?? "no"} bytes; it listed ${listed}`);

/**
 * The files of a repository, read in place: nothing is kept. For pages, which have no disk; in Node, `hub` downloads.
 */
export function hubInPlace(given: string, options: RepositoryOptions = {}): ModelFiles {
  const repository = repositoryOf(given, options);
  let listing: Promise<Listing> | undefined;
  const known = () => {
    listing ??= listRepository(repository).catch((error: unknown) => {
      listing = undefined;
      throw error;
    });
    return listing;
  };
  return shown(repository, {
    name: repository.name,
    list: async () => (await known()).files.map(({ path }) => path),
    async open(file) {
      const { commit, files } = await known();
      const entry = files.find(({ path }) => path === file);
      return entry && openInPlace(repository, commit, entry);
    },
  });
}

/** All files of a repository, or the one that its name names. */
export const shown = ({ file }: Repository, files: ModelFiles): ModelFiles =>
  file === undefined ? files : onlyParts(files, file);

/** Whatever went wrong while `what` of a repository was fetched, as an error that says so. */
export function explained(
  error: unknown,
  name: string,
  what: string,
  { hubUrl, accessToken }: Repository["access"],
): DownloadError {
  if (error instanceof DownloadError) return error;
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  const code = (error as { code?: unknown } | null)?.code;
  const of = `${name}: ${what}`;
  if (status === 401 || status === 403) {
    const remedy = accessToken
      ? "the token does not open it"
      : "it is gated, private or not there; give a token (HF_TOKEN)";
    return new DownloadError(`${of}: ${hubUrl} refuses it: ${remedy}`);
  }
  if (status === 404) return new DownloadError(`${of}: ${hubUrl} has no such repository or revision`);
  if (code === "ENOSPC")
    return new DownloadError(`${of}: the disk is full; what has arrived stays there and is gone on with`);
  if (error instanceof TypeError)
    return new DownloadError(
      `${of}: ${hubUrl} cannot be reached (${reason(error.cause ?? error)}), and it was not downloaded before`,
    );
  return new DownloadError(`${of}: ${reason(error)}`);
}
