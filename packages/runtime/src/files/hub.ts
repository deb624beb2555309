import { createHash, randomUUID } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { DownloadError, RequestError, show } from "../error.js";
import { checkCallback, checkFlag, knownOptions } from "../options.js";
import type { ModelFiles } from "./files.js";
import { folder } from "./folder.js";
import {
  explained,
  type HubOptions,
  hubOptions,
  type ListedFile,
  type Listing,
  listRepository,
  openInPlace,
  parseListing,
  type Repository,
  repositoryOf,
  shown,
} from "./hub-repository.js";

// Models of a Hugging Face hub, kept on disk. A repository is looked up once: the commit of its revision, and the files
// of that. From then on the revision means that commit, and the network is used for files alone that are not there yet.
//
// <cache>/<hub>/<owner>+<name>/<revision>.json   the listing of a revision
// <cache>/<hub>/<owner>+<name>/<commit>/<file>   a file that is whole and verified
//                                       <file>~part   its first bytes
//
// Several processes may download one file at once: they write the same bytes to the same places of the part, and the
// first that has verified it renames it.

/** Bytes that are asked for at a time. They stay on disk, so that a download which stopped resumes from there. */
const piece = 8 * 2 ** 20;
/** How often a download is begun, if what other processes do to its part gets in the way. */
const rounds = 3;

/**
 * The files of a repository, such as `hub("HuggingFaceTB/SmolLM2-135M-Instruct")`; `"owner/name@revision"` names a
 * revision, `"owner/name/file.gguf"` one GGUF file of several. Each file is downloaded when it is opened, resumed where
 * an earlier download stopped, and checked against its size and hash. The methods reject with a {@link DownloadError}.
 * Throws one for a name of another form, and a `RequestError` for an unknown option.
 */
export function hub(given: string, options: HubOptions = {}): ModelFiles {
  knownOptions("hub", options, hubOptions);
  checkCallback("onProgress", options.onProgress);
  checkFlag("inPlace", options.inPlace);
  const repository = repositoryOf(given, options);
  const { name, folder: within } = repository;
  const place = placeOf(repository, options.cache);
  let listing: Promise<Listing> | undefined;
  const known = () => {
    listing ??= look(repository, place).catch((error: unknown) => {
      listing = undefined;
      throw error;
    });
    return listing;
  };
  return shown(repository, {
    name,
    list: async () => (await known()).files.map(({ path }) => path),
    async open(file) {
      const { commit, files } = await known();
      const entry = files.find(({ path }) => path === file);
      if (!entry) return undefined;
      const at = join(place, commit, within);
      const present = () => isWhole(join(at, file), entry.size);
      if (!(await present())) {
        if (options.inPlace && /\.(safetensors|gguf)$/i.test(file)) return openInPlace(repository, commit, entry);
        const { signal } = repository;
        await oneAtATime(join(at, file), signal, async () => {
          if (!(await present())) await download(repository, commit, at, entry, options.onProgress);
        });
      }
      return folder(at).open(file);
    },
  });
}

/**
 * The folder of a repository: one for each hub, owner and name. Names that differ in case alone are the same repository
 * to a hub.
 */
function placeOf({ name, access }: Repository, cache: string | undefined): string {
  const root = cache ?? (process.env.ZIGGURAT_CACHE || join(homedir(), ".cache", "ziggurat"));
  if (typeof root !== "string" || root === "")
    throw new RequestError(`cache is ${show(root)}; it must be the path of a folder`);
  return resolve(root, fileNameOf(access.hubUrl.replace(/^https:\/\//, "")), name.replace("/", "+"));
}

/** A text of ASCII as a file name, different for different texts on file systems that ignore case, too. */
const fileNameOf = (text: string): string =>
  text.replace(/[^a-z0-9._-]/g, (letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);

/** Work of this process that is under way, by the file that it makes. */
const underWay = new Map<string, Promise<unknown>>();

/** Runs `work` when no other work of this process on `path` is under way. Ends early if the signal is aborted. */
async function oneAtATime<T>(path: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  for (let other = underWay.get(path); other; other = underWay.get(path)) {
    let stop = () => {};
    const aborted = new Promise<void>((resolve) => {
      stop = resolve;
      signal?.addEventListener("abort", stop);
    });
    await Promise.race([other.catch(() => {}), aborted]);
    signal?.removeEventListener("abort", stop);
    signal?.throwIfAborted();
  }
  const own = work();
  underWay.set(path, own);
  try {
    return await own;
  } finally {
    underWay.delete(path);
  }
}

/** The listing of a revision: the one that was kept, or else the hub's. */
async function look(repository: Repository, place: string): Promise<Listing> {
  const { name, revision, folder: within, access, signal } = repository;
  const path = join(place, `${[revision, ...(within ? [within] : [])].map(fileNameOf).join("@")}.json`);
  return oneAtATime(path, signal, async () => {
    const kept = await readFile(path, "utf8").then(parseListing, () => undefined);
    if (kept) return kept;
    const listing = await listRepository(repository);
    const written = `${path}~${randomUUID()}`;
    try {
      await mkdir(place, { recursive: true });
      await writeFile(written, JSON.stringify(listing));
      await rename(written, path);
    } catch (error) {
      await rm(written, { force: true }).catch(() => {});
      throw explained(error, name, "its list of files", access);
    }
    return listing;
  });
}

const sizeOf = async (path: string): Promise<number | undefined> => (await stat(path).catch(() => undefined))?.size;
const isWhole = async (path: string, size: number): Promise<boolean> => (await sizeOf(path)) === size;

/** Downloads a file of a commit to the folder `at`. Rejects with a {@link DownloadError}. */
async function download(
  repository: Repository,
  commit: string,
  at: string,
  entry: ListedFile,
  onProgress: HubOptions["onProgress"],
): Promise<void> {
  const { name, access, signal } = repository;
  const whole = join(at, entry.path);
  const part = `${whole}~part`;
  try {
    await mkdir(at, { recursive: true });
    for (let round = 1; ; round++) {
      const resumed = await fillPart(repository, commit, entry, { part, whole, onProgress });
      try {
        const wrong = await wrongHash(part, entry);
        if (wrong === undefined) return await rename(part, whole);
        await rm(part, { force: true });
        // Its first bytes may be damaged from before. Without them, the hub's are wrong.
        if (!resumed || round === rounds)
          throw new DownloadError(`${name}/${entry.path}: what came has the ${wrong}. It is gone; try again`);
      } catch (error) {
        // Another process has renamed the part, or has found it wrong.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        if (await isWhole(whole, entry.size)) return;
        if (round === rounds) throw error;
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, name, entry.path, access);
  }
}

/**
 * Brings a part to its full size, or stops when another process has made the whole file. Resolves to whether it began
 * with bytes of an earlier download.
 */
async function fillPart(
  repository: Repository,
  commit: string,
  entry: ListedFile,
  { part, whole, onProgress }: { part: string; whole: string; onProgress: HubOptions["onProgress"] },
): Promise<boolean> {
  const { path, size } = entry;
  const present = (await sizeOf(part)) ?? 0;
  if (present > size) await rm(part, { force: true });
  let done = present > size ? 0 : present;
  const resumed = done > 0;
  const source = done < size ? await openInPlace(repository, commit, entry) : undefined;
  // Not truncated, and not appended to: another process may write to it, too.
  const target = await open(part, constants.O_RDWR | constants.O_CREAT);
  try {
    while (source && done < size) {
      repository.signal?.throwIfAborted();
      if (await isWhole(whole, size)) break;
      const bytes = await source.read(done, Math.min(piece, size - done));
      for (let written = 0; written < bytes.length; )
        written += (await target.write(bytes, written, bytes.length - written, done + written)).bytesWritten;
      done += bytes.length;
      onProgress?.(path, done, size);
    }
  } finally {
    await target.close();
  }
  return resumed;
}

/** The hash of a file beside the one that it should have, for an error; undefined if it is right or not known. */
async function wrongHash(path: string, { size, sha256, gitSha1 }: ListedFile): Promise<string | undefined> {
  const right = sha256 ?? gitSha1;
  if (right === undefined) return undefined;
  const hash = createHash(sha256 === undefined ? "sha1" : "sha256");
  if (sha256 === undefined) hash.update(`blob ${size}\0`);
  for await (const bytes of createReadStream(path)) hash.update(bytes as Uint8Array);
  const got = hash.digest("hex");
  return got === right
    ? undefined
    : `${sha256 === undefined ? "git SHA-1" : "SHA-256"} ${got}; it should have ${right}`;
}
