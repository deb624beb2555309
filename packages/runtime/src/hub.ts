import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { appendFile, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DownloadError, reason, show } from "./error.js";
import { isRecord, type ModelFiles } from "./files.js";
import { folder } from "./folder.js";

// Models of a Hugging Face hub, by @huggingface/hub, kept on disk. A repository is looked up once: which commit its revision was, and which files that has. From then on
// a revision means that commit, and nothing is asked of the network but files that are not there yet.

export interface HubOptions {
  /** A branch, a tag or a commit. Default "main". */
  readonly revision?: string;
  /** The folder that downloads go to. Default: `$ZIGGURAT_CACHE`, or `.cache/ziggurat` in the user's home. */
  readonly cache?: string;
  /** For repositories that are gated or private. Default: `$HF_TOKEN`. */
  readonly token?: string;
  /** Default: `$HF_ENDPOINT`, or https://huggingface.co. */
  readonly url?: string;
  /** Told while files are downloaded: bytes done, of all. */
  readonly onProgress?: (file: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

interface Listing {
  readonly commit: string;
  readonly files: readonly { readonly path: string; readonly size: number; readonly sha256?: string }[];
}

/** Bytes that are asked for at a time. What has arrived stays on disk, so that a download which stopped goes on. */
const piece = 8 * 2 ** 20;

/**
 * The files of a repository, such as `hub("HuggingFaceTB/SmolLM2-135M-Instruct")`. Each is downloaded when it is opened, resumed where an earlier download stopped, and
 * checked against its size and, where the hub gives one, its SHA-256. Its methods reject with a {@link DownloadError}. Throws one where the name cannot be.
 */
export function hub(name: string, options: HubOptions = {}): ModelFiles {
  const { revision = "main", token = process.env.HF_TOKEN, onProgress, signal } = options;
  if (!/^(?!.*\.\.)[\w.-]+(\/[\w.-]+)?$/.test(name))
    throw new DownloadError(`${show(name)} is no name of a repository; it must be like "owner/name"`);
  if (!/^(?!.*\.\.)\w[\w./-]{0,127}$/.test(revision))
    throw new DownloadError(`${name}: revision is ${show(revision)}; it must be a branch, a tag or a commit`);
  const url = (options.url ?? process.env.HF_ENDPOINT ?? "https://huggingface.co").replace(/\/$/, "");
  const cache = join(options.cache ?? process.env.ZIGGURAT_CACHE ?? join(homedir(), ".cache", "ziggurat"), name.replace("/", "--"));
  const access = { hubUrl: url, ...(token ? { accessToken: token } : {}) };
  let listing: Promise<Listing> | undefined;
  const known = () => {
    listing ??= look(name, revision, cache, access).catch((error: unknown) => {
      listing = undefined;
      throw error;
    });
    return listing;
  };
  const downloads = new Map<string, Promise<void>>();
  return {
    name,
    list: async () => (await known()).files.map(({ path }) => path),
    async open(file) {
      const { commit, files } = await known();
      const entry = files.find(({ path }) => path === file);
      if (!entry) return undefined;
      const at = join(cache, commit);
      const present = await stat(join(at, file)).catch(() => undefined);
      if (present?.size !== entry.size) {
        const running =
          downloads.get(file) ?? download({ name, commit, at, access, signal, onProgress }, entry).finally(() => downloads.delete(file));
        downloads.set(file, running);
        await running;
      }
      return folder(at).open(file);
    },
  };
}

type Access = { readonly hubUrl: string; readonly accessToken?: string };

/** What the revision is: as it was found the first time, or as the hub says. */
async function look(name: string, revision: string, cache: string, access: Access): Promise<Listing> {
  const path = join(cache, `${encodeURIComponent(revision)}.json`);
  const kept = await readFile(path, "utf8").then(parseListing, () => undefined);
  if (kept) return kept;
  try {
    const { listFiles, modelInfo } = await import("@huggingface/hub");
    const { sha } = await modelInfo({ name, revision, additionalFields: ["sha"], ...access });
    if (typeof sha !== "string" || !/^[0-9a-f]{7,64}$/.test(sha)) throw new DownloadError(`${name}: the hub calls its commit ${show(sha)}`);
    const files: Listing["files"][number][] = [];
    for await (const { type, path: file, size, lfs } of listFiles({ repo: { type: "model", name }, revision: sha, ...access })) {
      // Folders hold other formats; names that lead elsewhere are nobody's files.
      if (type === "file" && /^\w[\w.-]*$/.test(file)) files.push({ path: file, size, ...(lfs ? { sha256: lfs.oid } : {}) });
    }
    const listing = { commit: sha, files };
    await mkdir(cache, { recursive: true });
    await writeFile(`${path}.part`, JSON.stringify(listing));
    await rename(`${path}.part`, path);
    return listing;
  } catch (error) {
    throw explained(error, name, `revision ${show(revision)}`, access);
  }
}

/** A listing that was kept; undefined where it is not what it should be. */
function parseListing(text: string): Listing | undefined {
  try {
    const json: unknown = JSON.parse(text);
    const whole = isRecord(json) && /^[0-9a-f]{7,64}$/.test(String(json.commit)) && Array.isArray(json.files);
    const right = (file: unknown) => isRecord(file) && /^\w[\w.-]*$/.test(String(file.path)) && Number.isSafeInteger(file.size);
    return whole && (json.files as unknown[]).every(right) ? (json as unknown as Listing) : undefined;
  } catch {
    return undefined;
  }
}

interface Place {
  readonly name: string;
  readonly commit: string;
  readonly at: string;
  readonly access: Access;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: HubOptions["onProgress"] | undefined;
}

async function download({ name, commit, at, access, signal, onProgress }: Place, { path, size, sha256 }: Listing["files"][number]): Promise<void> {
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
      const blob = await downloadFile({ repo: { type: "model", name }, path, revision: commit, ...access });
      if (blob?.size !== size) throw new DownloadError(`${name}/${path}: the hub has ${blob?.size ?? "no"} bytes; it listed ${size}`);
      while (done < size) {
        signal?.throwIfAborted();
        const bytes = new Uint8Array(await blob.slice(done, Math.min(size, done + piece)).arrayBuffer());
        if (bytes.byteLength !== Math.min(piece, size - done)) {
          throw new DownloadError(
            `${name}/${path}: ${bytes.byteLength} bytes came from byte ${done} on; ${Math.min(piece, size - done)} were asked for`,
          );
        }
        await appendFile(part, bytes);
        done += bytes.byteLength;
        onProgress?.(path, done, size);
      }
    }
    if (sha256 !== undefined) {
      const hash = createHash("sha256");
      for await (const bytes of createReadStream(part)) hash.update(bytes as Uint8Array);
      const got = hash.digest("hex");
      if (got !== sha256) {
        await rm(part);
        throw new DownloadError(`${name}/${path}: what came has the SHA-256 ${got}; it should have ${sha256}. It is gone; try again`);
      }
    }
    await rename(part, join(at, path));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw explained(error, name, path, access);
  }
}

function explained(error: unknown, name: string, what: string, { hubUrl, accessToken }: Access): DownloadError {
  if (error instanceof DownloadError) return error;
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  const code = (error as { code?: unknown } | null)?.code;
  const of = `${name}: ${what}`;
  if (status === 401 || status === 403) {
    const remedy = accessToken ? "the token does not open it" : "it is gated, private or not there; give a token (HF_TOKEN)";
    return new DownloadError(`${of}: ${hubUrl} refuses it: ${remedy}`);
  }
  if (status === 404) return new DownloadError(`${of}: ${hubUrl} has no such repository or revision`);
  if (code === "ENOSPC") return new DownloadError(`${of}: the disk is full; what has arrived stays there and is gone on with`);
  if (error instanceof TypeError)
    return new DownloadError(`${of}: ${hubUrl} cannot be reached (${reason(error.cause ?? error)}), and it was not downloaded before`);
  return new DownloadError(`${of}: ${reason(error)}`);
}
