import { DownloadError, reason, show } from "../error.js";
import { onlyParts } from "../gguf/parts.js";
import { checkSignal, type OptionNames } from "../options.js";
import { fetchFrom } from "./fetch-from.js";
import { type FileSource, isRecord, type ModelFiles } from "./files.js";
import { openRemote } from "./remote.js";

// A repository of models on a Hugging Face hub: its name, the files of a revision, and reading them in place by the
// hub's HTTP endpoints, on a page as well. hub.ts keeps them on disk.

export interface RepositoryOptions {
  /** A branch, a tag or a commit. Default: the one after an @ in the name, or "main". */
  readonly revision?: string;
  /**
   * For repositories that are gated or private. It is sent to the hub alone, not to the hosts that it redirects to.
   * Default in Node: `$HF_TOKEN`, unless `url` is another hub than the default.
   */
  readonly token?: string;
  /** The hub. Default: in Node `$HF_ENDPOINT`, otherwise https://huggingface.co. */
  readonly url?: string;
  readonly signal?: AbortSignal;
}

export interface HubOptions extends RepositoryOptions {
  /** The folder that downloads go to. Default: `$ZIGGURAT_CACHE`, or `.cache/ziggurat` in the user's home. */
  readonly cache?: string;
  /**
   * Reads weights that are not on disk yet in place, by ranges, instead of downloading them: for a look at their
   * headers.
   */
  readonly inPlace?: boolean;
  /** Called while files are downloaded: the file, bytes done, of all of that file. */
  readonly onProgress?: (file: string, done: number, total: number) => void;
}

export const hubOptions: OptionNames<HubOptions> = {
  revision: true,
  token: true,
  url: true,
  signal: true,
  cache: true,
  inPlace: true,
  onProgress: true,
};

/** A repository that may exist. */
export interface Repository {
  /** owner/name */
  readonly name: string;
  readonly revision: string;
  /** The folder within the repository: "" for its root, otherwise with a slash at its end. */
  readonly folder: string;
  /** The GGUF file that was named, without its folder; undefined for all files. */
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
  /** Of the content; for large files. */
  readonly sha256?: string;
  /** As git names the content: SHA-1 of "blob <size>", a zero byte and the content; for small files. */
  readonly gitSha1?: string;
}

const environment = (): Readonly<Record<string, string | undefined>> => globalThis.process?.env ?? {};

/**
 * The repository that a name means: "owner/name", optionally followed by "/" and the path of a GGUF file in it, and by
 * "@" and a revision. Throws a {@link DownloadError} for any other name, revision, token or URL.
 */
export function repositoryOf(given: string, options: RepositoryOptions = {}): Repository {
  const [, path = "", after] = /^([^@]*)(?:@(.*))?$/s.exec(given) ?? [];
  const [, name, folder = "", file] =
    /^(?!.*\.\.)(\w[\w.-]*(?:\/\w[\w.-]*)?)(?:\/((?:\w[\w.-]*\/){0,3})(\w[\w.-]*\.gguf))?$/i.exec(path) ?? [];
  if (name === undefined)
    throw new DownloadError(
      `${show(given)} is no name of a repository; it must be like "owner/name", "owner/name@revision" or "owner/name/file.gguf"`,
    );
  const { revision = after ?? "main", token } = options;
  if (typeof revision !== "string" || !/^(?!.*\.\.)\w[\w./-]{0,127}$/.test(revision))
    throw new DownloadError(`${name}: revision is ${show(revision)}; it must be a branch, a tag or a commit`);
  if (token !== undefined && (typeof token !== "string" || !/^[\x21-\x7e]*$/.test(token)))
    throw new DownloadError(
      `${name}: the token is ${typeof token === "string" ? "not ASCII" : show(token)}; it must be text`,
    );
  checkSignal(options.signal);
  const hubUrl = hubUrlOf(options);
  const accessToken = token ?? (hubUrl === hubUrlOf() ? environment().HF_TOKEN?.trim() : undefined);
  return {
    name,
    revision,
    folder,
    file,
    signal: options.signal,
    access: { hubUrl, ...(accessToken ? { accessToken } : {}) },
  };
}

/** Throws a {@link DownloadError} for anything but an HTTP URL. */
function hubUrlOf({ url = environment().HF_ENDPOINT || "https://huggingface.co" }: RepositoryOptions = {}): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:")
    throw new DownloadError(`the hub's url is ${show(url)}; it must begin with http:// or https://`);
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, "");
}

/**
 * The name, for {@link repositoryOf}, of the repository or file that a URL of the hub shows; undefined for other URLs.
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

/** The hub lists a thousand files on a page. */
const mostPages = 20;
/** Bytes of one answer of the hub's API. */
const largestAnswer = 16 * 2 ** 20;

/**
 * The files of a revision, by the `revision` and `tree` endpoints of the hub's API. Rejects with a
 * {@link DownloadError}, also if there are more than twenty pages of files.
 */
export async function listRepository({ name, revision, folder, access, signal }: Repository): Promise<Listing> {
  const api = `${access.hubUrl}/api/models/${name}`;
  const ask = async (url: URL): Promise<{ readonly json: unknown; readonly next: string | undefined }> => {
    const response = await fetchFrom(url, headersOf(access), { headers: {}, signal: signal ?? null });
    if (!response.ok) {
      await response.body?.cancel();
      throw Object.assign(new Error(`${access.hubUrl} answers ${response.status}`), { statusCode: response.status });
    }
    const next = /<([^>]+)>;\s*rel="?next/.exec(response.headers.get("link") ?? "")?.[1];
    return { json: JSON.parse(await textOf(response, name)), next };
  };
  try {
    const { json } = await ask(new URL(`${api}/revision/${encodeURIComponent(revision)}`));
    const sha = isRecord(json) ? json.sha : undefined;
    if (!isCommit(sha)) throw new DownloadError(`${name}: the hub calls its commit ${show(sha)}`);
    const files: ListedFile[] = [];
    let url = new URL(`${api}/tree/${sha}/${folder}`.replace(/\/$/, ""));
    for (let pages = 1; ; pages++) {
      const page = await ask(url);
      if (!Array.isArray(page.json)) throw new DownloadError(`${name}: the hub's list of files is ${show(page.json)}`);
      // Folders below hold other formats. Names that lead elsewhere are left out.
      for (const entry of page.json as unknown[]) files.push(...listed(entry, folder));
      if (page.next === undefined) return { commit: sha, files };
      const next = URL.canParse(page.next, url) ? new URL(page.next, url) : undefined;
      // The token goes with it.
      if (next?.origin !== url.origin)
        throw new DownloadError(
          `${name}: the hub's list of files goes on at ${show(page.next)}, which is another host`,
        );
      if (pages === mostPages) throw new DownloadError(`${name}: has more than ${mostPages} pages of files`);
      url = next;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, name, `revision ${show(revision)}`, access);
  }
}

/** The text of an answer. Rejects with a {@link DownloadError} if it is longer than 16 MiB. */
async function textOf(response: Response, name: string): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = "";
  let size = 0;
  try {
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      size += next.value.length;
      if (size > largestAnswer)
        throw new DownloadError(`${name}: the hub's answer has more than ${largestAnswer} bytes`);
      text += decoder.decode(next.value, { stream: true });
    }
  } finally {
    await reader?.cancel().catch(() => {});
  }
  return text + decoder.decode();
}

function listed(entry: unknown, folder: string): ListedFile[] {
  if (!isRecord(entry) || entry.type !== "file" || !isSize(entry.size)) return [];
  const { path } = entry;
  if (typeof path !== "string" || !path.startsWith(folder) || !isFileName(path.slice(folder.length))) return [];
  const said = isRecord(entry.lfs) ? entry.lfs.oid : entry.oid;
  const oid = typeof said === "string" ? said : "";
  const hash = isRecord(entry.lfs) ? { sha256: oid } : { gitSha1: oid };
  return [{ path: path.slice(folder.length), size: entry.size, ...(isHash(hash) ? hash : {}) }];
}

const isHash = ({ sha256, gitSha1 }: { readonly sha256?: string; readonly gitSha1?: string }): boolean =>
  sha256 === undefined ? /^[0-9a-f]{40}$/.test(gitSha1 ?? "") : /^[0-9a-f]{64}$/.test(sha256);

const headersOf = ({ accessToken }: Repository["access"]): Record<string, string> =>
  accessToken ? { authorization: `Bearer ${accessToken}` } : {};

const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && (size as number) >= 0;
const isCommit = (text: unknown): text is string => typeof text === "string" && /^[0-9a-f]{7,64}$/.test(text);
const isFileName = (text: unknown): text is string => typeof text === "string" && /^\w[\w.-]{0,199}$/.test(text);

/** A listing that was kept as JSON; undefined if it is damaged. */
export function parseListing(text: string): Listing | undefined {
  try {
    const json: unknown = JSON.parse(text);
    const whole = isRecord(json) && isCommit(json.commit) && Array.isArray(json.files);
    const right = (file: unknown) =>
      isRecord(file) &&
      isFileName(file.path) &&
      isSize(file.size) &&
      ((file.sha256 === undefined && file.gitSha1 === undefined) || isHash(file));
    return whole && (json.files as unknown[]).every(right) ? (json as unknown as Listing) : undefined;
  } catch {
    return undefined;
  }
}

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

/** An error that occurred while `what` of a repository was fetched, as a {@link DownloadError}. */
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
    return new DownloadError(`${of}: the disk is full; what has arrived stays, and the next download goes on from it`);
  if (error instanceof TypeError)
    return new DownloadError(
      `${of}: ${hubUrl} cannot be reached (${reason(error.cause ?? error)}), and it was not downloaded before`,
    );
  return new DownloadError(`${of}: ${reason(error)}`);
}
