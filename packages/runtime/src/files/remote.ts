import { DownloadError, reason, show } from "../error.js";
import { onlyParts } from "../gguf/parts.js";
import { checkSignal, knownOptions, type OptionNames } from "../options.js";
import { fetchFrom } from "./fetch-from.js";
import { checkRange, type FileSource, type ModelFiles } from "./files.js";

// Files on a web server, read in place by HTTP range requests: nothing is kept, and only the parts that are read are
// fetched.

export interface RemoteOptions {
  /** Sent with every request to the URL's own origin, such as `authorization`. Redirects elsewhere go without them. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** For reports and errors. Default: the URL. */
  readonly name?: string;
}

const remoteOptions: OptionNames<RemoteOptions> = { headers: true, signal: true, name: true };

/** How often in a row a request may bring nothing before reading gives up. */
const attempts = 3;
/** Bytes of a file that is fetched whole, since its server does not answer ranges. */
const largestWhole = 2 ** 31;

/**
 * The files below a URL, such as `https://host/models/tiny/`, or the one GGUF file that it names, with the other parts
 * of its model. Methods reject with a {@link DownloadError}, also if a file has changed since it was opened. If a
 * server does not answer ranges, `open` fetches the whole file, up to 2 GiB.
 */
export function remote(url: string | URL, options: RemoteOptions = {}): ModelFiles {
  knownOptions("remote", options, remoteOptions);
  checkSignal(options.signal);
  const base = webUrl(url);
  if (!base) throw new DownloadError(`${show(String(url))} is no URL that begins with http:// or https://`);
  const called = options.name ?? `${base.origin}${base.pathname}`.replace(/\/$/, "");
  const open = (name: string, folder: URL, file: string) => openRemote(`${name}/${file}`, below(folder, file), options);
  const only = lastOf(base);
  if (!/\.gguf$/i.test(only)) return { name: called, open: (file) => open(called, base, file) };
  const folder = new URL(base);
  folder.pathname = folder.pathname.replace(/[^/]*$/, "");
  const name = called.replace(/\/[^/]*$/, "");
  return onlyParts({ name, open: (file) => open(name, folder, file) }, only);
}

/** Files by name, each at its own URL. */
export function remoteEach(urls: readonly URL[], options: RemoteOptions = {}): ModelFiles {
  const name = options.name ?? "URLs";
  const byName = new Map(urls.map((url) => [lastOf(url), url]));
  return {
    name,
    list: async () => [...byName.keys()],
    open: async (file) => {
      const url = byName.get(file);
      return url && openRemote(`${name}/${file}`, url, options);
    },
  };
}

/** The last part of a URL's path. Throws a {@link DownloadError} if it is not UTF-8. */
function lastOf({ pathname, href }: URL): string {
  try {
    return decodeURIComponent(pathname.slice(pathname.lastIndexOf("/") + 1));
  } catch {
    throw new DownloadError(`${show(href)} is no URL of a file`);
  }
}

function below(base: URL, file: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, "")}/${encodeURIComponent(file)}`;
  return url;
}

/** Opens a file of a server; undefined if there is none. `file` is its name in errors. */
export async function openRemote(
  file: string,
  url: URL,
  { headers = {}, signal }: RemoteOptions = {},
): Promise<FileSource | undefined> {
  const get = async (range: string | undefined, cache: RequestCache): Promise<Response> => {
    try {
      // A compressed answer would have other offsets.
      const own = { "accept-encoding": "identity", ...(range === undefined ? {} : { range }) };
      const method = range === undefined ? "HEAD" : "GET";
      return await fetchFrom(url, headers, { method, headers: own, cache, signal: signal ?? null });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new DownloadError(`${file}: ${url.origin} cannot be reached: ${reason((error as Error).cause ?? error)}`);
    }
  };
  /**
   * How requests use the browser's cache. After an answer that does not fit, they go past it: it may hold the whole
   * file as the server compressed it, and answer ranges and sizes from that.
   */
  let cache: RequestCache = "default";
  let first = await get("bytes=0-0", cache);
  if (first.status === 206 && !(await isOneByte(first))) {
    cache = "no-store";
    first = await get("bytes=0-0", cache);
    if (first.status === 206 && !(await isOneByte(first)))
      throw new DownloadError(`${file}: ${url.origin} answers a range with other bytes than it was asked for`);
  }
  if (first.status === 404 || first.status === 410) return void (await first.body?.cancel());
  if (first.status === 200) return whole(file, first, signal);
  // An empty file has no first byte.
  if (first.status === 416 && /\/0$/.test(first.headers.get("content-range") ?? ""))
    return { size: 0, read: async () => new Uint8Array(0) };
  if (first.status !== 206) {
    await first.body?.cancel();
    throw refused(file, url, first.status);
  }
  const size = totalOf(first) ?? (await sizeByHead());
  const version = first.headers.get("etag");

  // A page may be kept from seeing the range's total, but not from seeing a length.
  async function sizeByHead(): Promise<number> {
    const head = await get(undefined, cache);
    const length = Number(head.headers.get("content-length") ?? Number.NaN);
    if (!head.ok || !Number.isSafeInteger(length))
      throw new DownloadError(`${file}: ${url.origin} does not say how many bytes the file has`);
    return length;
  }

  /** Fills `bytes` from `offset` on, as far as one answer goes. Resolves to the number of bytes that came. */
  async function readSome(bytes: Uint8Array, offset: number): Promise<number> {
    const response = await get(`bytes=${offset}-${offset + bytes.length - 1}`, cache);
    if (response.status !== 206) {
      await response.body?.cancel();
      if (response.status >= 500 || response.status === 429) return 0;
      throw refused(file, url, response.status);
    }
    const etag = response.headers.get("etag");
    const total = totalOf(response);
    if ((version !== null && etag !== null && etag !== version) || (total !== undefined && total !== size)) {
      await response.body?.cancel();
      throw new Misfit(`${file}: has changed since it was opened; open it again`);
    }
    const reader = response.body!.getReader();
    let done = 0;
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (done + next.value.length > bytes.length)
          throw new Misfit(`${file}: more came than the ${bytes.length} bytes from byte ${offset} on`);
        bytes.set(next.value, done);
        done += next.value.length;
      }
    } catch (error) {
      // A connection that broke: what came before is good, and the rest is asked for again.
      if (signal?.aborted || error instanceof DownloadError) throw error;
    } finally {
      await reader.cancel().catch(() => {});
    }
    return done;
  }

  return {
    size,
    async read(offset, length) {
      checkRange(file, size, offset, length);
      const bytes = new Uint8Array(length);
      let fruitless = 0;
      for (let done = 0; done < length; ) {
        const came = await readSome(bytes.subarray(done), offset + done).catch((error: unknown) => {
          if (!(error instanceof Misfit) || cache === "no-store") throw error;
          cache = "no-store";
          return readSome(bytes.subarray(done), offset + done);
        });
        fruitless = came > 0 ? 0 : fruitless + 1;
        if (fruitless === attempts)
          throw new DownloadError(`${file}: byte ${offset + done} did not come, asked for ${attempts} times`);
        done += came;
      }
      return bytes;
    },
  };
}

/** Whether an answer holds one byte, uncompressed. Reads no more than its first two. */
async function isOneByte(response: Response): Promise<boolean> {
  const reader = response.body?.getReader();
  let size = 0;
  try {
    for (let next = await reader?.read(); next && !next.done && size < 2; next = await reader?.read())
      size += next.value.length;
  } catch {
    return false;
  } finally {
    await reader?.cancel().catch(() => {});
  }
  return size === 1 && (response.headers.get("content-encoding") ?? "identity") === "identity";
}

/** An answer that does not fit the file as it was opened. */
class Misfit extends DownloadError {}

async function whole(file: string, response: Response, signal: AbortSignal | undefined): Promise<FileSource> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  try {
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      size += next.value.length;
      if (size > largestWhole)
        throw new DownloadError(
          `${file}: has more than ${largestWhole} bytes, and its server does not answer ranges; download it first`,
        );
      parts.push(next.value);
    }
  } catch (error) {
    if (signal?.aborted || error instanceof DownloadError) throw error;
    throw new DownloadError(`${file}: ended before it was whole: ${reason(error)}`);
  } finally {
    await reader?.cancel().catch(() => {});
  }
  const blob = new Blob(parts);
  return {
    size,
    async read(offset, length) {
      checkRange(file, size, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}

const totalOf = (response: Response): number | undefined => {
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return total === undefined || !Number.isSafeInteger(Number(total)) ? undefined : Number(total);
};

const refused = (file: string, url: URL, status: number): DownloadError =>
  new DownloadError(
    `${file}: ${url.origin} answers ${status}${status === 401 || status === 403 ? "; it may need a token" : ""}`,
  );

/**
 * A URL of the web, given as text or as a URL; undefined for any other text. Throws a {@link DownloadError} for a URL
 * of another scheme.
 */
export function webUrl(what: string | URL): URL | undefined {
  if (typeof what === "string" && !/^[a-z][a-z\d+.-]+:\/\//i.test(what)) return undefined;
  const url = URL.canParse(String(what)) ? new URL(what) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:")
    throw new DownloadError(`${show(String(what))} is no URL that begins with http:// or https://`);
  return url;
}
