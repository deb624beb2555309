import { FormatError, reason } from "../error.js";

/** One file that can be read in parts. */
export interface FileSource {
  /** Bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from byte `offset` on, into memory that the caller may keep and change. Rejects if the
   * file has fewer. A source may use the start of `into` if that is large enough, so that a caller can read many parts
   * into the same memory.
   */
  read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** The files of a model, by name: a folder, a record of blobs, or any other object of this shape. */
export interface ModelFiles {
  /** For reports and errors. */
  readonly name: string;
  /** Opens a file; undefined if there is none of this name. */
  open(file: string): Promise<FileSource | undefined>;
  /** Lists the names of all files, if the source can. A GGUF file, which may have any name, is found by it. */
  list?(): Promise<readonly string[]>;
}

/** Files in memory. A string is stored as UTF-8. */
export function memoryFiles(files: Readonly<Record<string, Uint8Array | string>>, name = "memory"): ModelFiles {
  const byName = new Map(Object.entries(files));
  return {
    name,
    list: async () => [...byName.keys()],
    async open(file) {
      const content = byName.get(file);
      if (content === undefined) return undefined;
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      return {
        size: bytes.byteLength,
        async read(offset, length) {
          checkRange(`${name}/${file}`, bytes.byteLength, offset, length);
          return bytes.slice(offset, offset + length) as Uint8Array<ArrayBuffer>;
        },
      };
    },
  };
}

/** Files that a browser holds: `File` objects of an input element, or blobs. */
export function blobs(files: Readonly<Record<string, Blob>>, name = "blobs"): ModelFiles {
  const byName = new Map(Object.entries(files));
  return {
    name,
    list: async () => [...byName.keys()],
    async open(file) {
      const blob = byName.get(file);
      if (!blob) return undefined;
      return {
        size: blob.size,
        async read(offset, length) {
          checkRange(`${name}/${file}`, blob.size, offset, length);
          return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
        },
      };
    },
  };
}

/** Throws a {@link FormatError} unless `length` bytes from `offset` on are within `size`. */
export function checkRange(file: string, size: number, offset: number, length: number): void {
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0 ||
    offset + length > size
  ) {
    throw new FormatError(`${file}: cannot read ${length} bytes from byte ${offset}; the file has ${size}`);
  }
}

/** The most bytes of a text file that is read whole; the largest tokenizers known have about 35 MB. */
const largestText = 256 * 2 ** 20;

/**
 * A file as UTF-8 text; undefined if there is no such file. Rejects with {@link FormatError} if it has more than
 * `largest` bytes or is not UTF-8.
 */
export async function readText(
  files: ModelFiles,
  file: string,
  largest: number = largestText,
): Promise<string | undefined> {
  const source = await files.open(file);
  if (!source) return undefined;
  if (source.size > largest)
    throw new FormatError(`${files.name}/${file}: ${source.size} bytes; such a file of a model may have ${largest}`);
  const bytes = await source.read(0, source.size);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError(`${files.name}/${file}: is not UTF-8 text`);
  }
}

/** A JSON file, parsed; undefined if there is no such file. Rejects with {@link FormatError}. */
export async function readJson(files: ModelFiles, file: string, largest: number = largestText): Promise<unknown> {
  const text = await readText(files, file, largest);
  if (text === undefined) return undefined;
  try {
    return parseJson(text);
  } catch (error) {
    throw new FormatError(`${files.name}/${file}: is not JSON: ${reason(error)}`);
  }
}

/** Parses JSON that may hold `NaN`, `Infinity` and `-Infinity`, as Python writes and reads it. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    // JSON has numbers beyond float64, which become infinite. NaN needs a stand-in.
    let standsIn = "NaN";
    for (const [present] of text.matchAll(/NaN-*/g)) if (present.length >= standsIn.length) standsIn = `${present}-`;
    const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|\bNaN\b|\bInfinity\b/gs;
    const rewritten = text.replace(tokens, (token) =>
      token === "NaN" ? JSON.stringify(standsIn) : token === "Infinity" ? "1e999" : token,
    );
    return JSON.parse(rewritten, (_, value: unknown) => (value === standsIn ? Number.NaN : value));
  }
}

/** Whether parsed JSON is an object. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
