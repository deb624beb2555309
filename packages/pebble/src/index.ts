// Every file by its own literal URL, which bundlers find and carry along. It is the same from src and from dist.
const files: Readonly<Record<string, URL>> = {
  "config.json": new URL("../files/config.json", import.meta.url),
  "generation_config.json": new URL("../files/generation_config.json", import.meta.url),
  "tokenizer.json": new URL("../files/tokenizer.json", import.meta.url),
  "tokenizer_config.json": new URL("../files/tokenizer_config.json", import.meta.url),
  "model.safetensors": new URL("../files/model.safetensors", import.meta.url),
};

/** One file that can be read in parts. */
export interface PebbleFile {
  /** Bytes. */
  readonly size: number;
  /** Exactly `length` bytes from byte `offset` on. Rejects where the file has fewer. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Pebble's files by name: what `loadModel` of @ziggurat/runtime takes. */
export interface PebbleFiles {
  readonly name: string;
  /** Resolves to undefined if there is no such file. */
  open(file: string): Promise<PebbleFile | undefined>;
}

export interface PebbleOptions {
  /**
   * What fetches the files where they are not in a folder: for a page that shows how far a download is, or keeps its
   * own copies. Default: the global one.
   */
  readonly fetch?: (url: URL) => Promise<Response>;
}

/**
 * The files of Pebble: read from the package's folder in Node, fetched in browsers. Nothing is read before it is asked
 * for.
 */
export function pebble({ fetch }: PebbleOptions = {}): PebbleFiles {
  return {
    name: "pebble",
    open: async (file) => (Object.hasOwn(files, file) ? openUrl(files[file]!, fetch) : undefined),
  };
}

/** Words that documents for Pebble are made of; the `heldout` ones never were keys or values in its training. */
export interface Words {
  readonly train: readonly string[];
  readonly heldout: readonly string[];
}

/** The word lists, which are also the package's `words.json`. */
export async function words(): Promise<Words> {
  const file = await openUrl(new URL("../files/words.json", import.meta.url));
  return JSON.parse(new TextDecoder().decode(await file.read(0, file.size))) as Words;
}

async function openUrl(url: URL, fetch: (url: URL) => Promise<Response> = globalThis.fetch): Promise<PebbleFile> {
  // Asked for at run time, so that a bundle for browsers holds no trace of Node.
  const fs = globalThis.process?.getBuiltinModule?.("node:fs");
  if (url.protocol === "file:" && fs) {
    const { size } = await fs.promises.stat(url);
    return {
      size,
      async read(offset, length) {
        checkRange(url, size, offset, length);
        const bytes = new Uint8Array(length);
        const handle = await fs.promises.open(url, "r");
        try {
          for (let done = 0; done < length; ) {
            const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
            if (bytesRead === 0) throw new RangeError(`${url.href}: ended at byte ${offset + done}`);
            done += bytesRead;
          }
        } finally {
          await handle.close();
        }
        return bytes;
      },
    };
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: the server answered ${response.status} ${response.statusText}`);
  // A blob may stay on disk; its parts are read when asked for.
  const blob = await response.blob();
  return {
    size: blob.size,
    async read(offset, length) {
      checkRange(url, blob.size, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}

function checkRange(url: URL, size: number, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
    throw new RangeError(`${url.href}: cannot read ${length} bytes from byte ${offset}; the file has ${size}`);
  }
}
