import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DownloadError } from "../error.js";
import { isRecord, type ModelFiles } from "./files.js";
import { folder } from "./folder.js";
import {
  explained,
  isCommit,
  isFileName,
  type ListedFile,
  type Listing,
  listRepository,
  openInPlace,
  type Repository,
  type RepositoryOptions,
  repositoryOf,
  shown,
  sizeError,
} from "./hub-repository.js";

// Models of a Hugging Face hub, kept on disk. A repository is looked up once: which commit its revision was, and which
// files that has. From then on a revision means that commit, and nothing is asked of the network but files that are not
// there yet.

export interface HubOptions extends RepositoryOptions {
  /** The folder that downloads go to. Default: `$ZIGGURAT_CACHE`, or `.cache/ziggurat` in the user's home. */
  readonly cache?: string;
  /**
   * Reads weights that are not on disk yet in place, by ranges, instead of downloading them: for a look at their
   * headers.
   */
  readonly inPlace?: boolean;
  /** Told while files are downloaded: bytes done, of all. */
  readonly onProgress?: (file: string, done: number, total: number) => void;
}

/** Bytes that are asked for at a time. What has arrived stays on disk, so that a download which stopped goes on. */
const piece = 8 * 2 ** 20;
/** How often in a row a request may bring nothing before a download gives up. */
const attempts = 3;

/**
 * The files of a repository, such as `hub("HuggingFaceTB/SmolLM2-135M-Instruct")`; `"owner/name@revision"` names a
 * revision, `"owner/name/file.gguf"` one GGUF file of several. Each file is downloaded when it is opened, resumed where
 * an earlier download stopped, and checked against its size and, where the hub gives one, its SHA-256. Its methods
 * reject with a {@link DownloadError}. Throws one where the name cannot be.
 */
export function hub(given: string, options: HubOptions = {}): ModelFiles {
  const repository = repositoryOf(given, options);
  const { name, folder: within, signal } = repository;
  const cache = join(
    options.cache ?? process.env.ZIGGURAT_CACHE ?? join(homedir(), ".cache", "ziggurat"),
    name.replace("/", "--"),
  );
  let listing: Promise<Listing> | undefined;
  const known = () => {
    listing ??= look(repository, cache).catch((error: unknown) => {
      listing = undefined;
      throw error;
    });
    return listing;
  };
  const downloads = new Map<string, Promise<void>>();
  return shown(repository, {
    name,
    list: async () => (await known()).files.map(({ path }) => path),
    async open(file) {
      const { commit, files } = await known();
      const entry = files.find(({ path }) => path === file);
      if (!entry) return undefined;
      const at = join(cache, commit, within);
      const present = await stat(join(at, file)).catch(() => undefined);
      if (present?.size !== entry.size) {
        if (options.inPlace && /\.(safetensors|gguf)$/i.test(file)) return openInPlace(repository, commit, entry);
        const running =
          downloads.get(file) ??
          download(repository, { commit, at, signal, onProgress: options.onProgress }, entry).finally(() =>
            downloads.delete(file),
          );
        downloads.set(file, running);
        await running;
      }
      return folder(at).open(file);
    },
  });
}

/** What the revision is: as it was found the first time, or as the hub says. */
async function look(repository: Repository, cache: string): Promise<Listing> {
  const { name, revision, folder: within, access } = repository;
  const path = join(cache, `${[revision, ...(within ? [within] : [])].map(encodeURIComponent).join("@")}.json`);
  const kept = await readFile(path, "utf8").then(parseListing, () => undefined);
  if (kept) return kept;
  const listing = await listRepository(repository);
  try {
    await mkdir(cache, { recursive: true });
    await writeFile(`${path}.part`, JSON.stringify(listing));
    await rename(`${path}.part`, path);
  } catch (error) {
    throw explained(error, name, "its list of files", access);
  }
  return listing;
}

/** A listing that was kept; undefined where it is not what it should be. */
function parseListing(text: string): Listing | undefined {
  try {
    const json: unknown = JSON.parse(text);
    const whole = isRecord(json) && isCommit(json.commit) && Array.isArray(json.files);
    const right = (file: unknown) => isRecord(file) && isFileName(file.path) && Number.isSafeInteger(file.size);
    return whole && (json.files as unknown[]).every(right) ? (json as unknown as Listing) : undefined;
  } catch {
    return undefined;
  }
}

interface Place {
  readonly commit: string;
  readonly at: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: HubOptions["onProgress"] | undefined;
}

async function download(
  { name, folder: within, access }: Repository,
  { commit, at, signal, onProgress }: Place,
  { path, size, sha256 }: ListedFile,
): Promise<void> {
  const part = join(at, `${path}.part`);
  try {
    await mkdir(at, { recursive: true });
    let done = (await stat(part).catch(() => undefined))?.size ?? 0;
    if (done > size) {
      await rm(part);
      done = 0;
    }
    if (size === 0) await writeFile(part, "");
    if (done < size) {
      const { downloadFile } = await import("@huggingface/hub");
      const blob = await downloadFile({
        repo: { type: "model", name },
        path: `${within}${path}`,
        revision: commit,
        ...access,
      });
      if (blob?.size !== size) throw sizeError(`${name}/${path}`, blob?.size, size);
      let fruitless = 0;
      while (done < size) {
        signal?.throwIfAborted();
        const end = Math.min(size, done + piece);
        const { came, error } = await append(part, blob.slice(done, end).stream());
        done += came;
        if (done > end) throw new DownloadError(`${name}/${path}: more came than the file's ${size} bytes`);
        // A connection that broke: what has come is good, and the rest is asked for again.
        fruitless = came > 0 ? 0 : fruitless + 1;
        if (done < end && fruitless === attempts)
          throw error ?? new DownloadError(`${name}/${path}: byte ${done} did not come`);
        onProgress?.(path, done, size);
      }
    }
    if (sha256 !== undefined) {
      const hash = createHash("sha256");
      for await (const bytes of createReadStream(part)) hash.update(bytes as Uint8Array);
      const got = hash.digest("hex");
      if (got !== sha256) {
        await rm(part);
        throw new DownloadError(
          `${name}/${path}: what came has the SHA-256 ${got}; it should have ${sha256}. It is gone; try again`,
        );
      }
    }
    await rename(part, join(at, path));
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, name, path, access);
  }
}

/**
 * Appends what a stream gives to a file: how many bytes came, and what ended it early. Rejects where they cannot be
 * written.
 */
async function append(path: string, stream: ReadableStream<Uint8Array>): Promise<{ came: number; error?: unknown }> {
  const target = await open(path, "a");
  const reader = stream.getReader();
  let came = 0;
  try {
    while (true) {
      const next = await reader.read().catch((error: unknown) => ({ error }));
      if ("error" in next) return { came, error: next.error };
      if (next.done) return { came };
      await target.writeFile(next.value);
      came += next.value.length;
    }
  } finally {
    await reader.cancel().catch(() => {});
    await target.close();
  }
}
