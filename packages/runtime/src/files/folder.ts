import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FormatError } from "../error.js";
import { onlyParts } from "../gguf/parts.js";
import { checkRange, type ModelFiles } from "./files.js";

/**
 * The files of a folder on disk. Names that leave the folder are refused. A file is open only while reads of it are
 * under way.
 */
export function folder(path: string): ModelFiles {
  return {
    name: path,
    list: () =>
      readdir(path).catch((error: NodeJS.ErrnoException) => {
        throw new FormatError(`${path}: cannot be listed: ${error.message}`);
      }),
    async open(file) {
      if (file !== basename(file) || file === ".." || file === "." || file === "" || file.includes("\\")) {
        throw new FormatError(`${path}: "${file}" is not the name of a file in this folder`);
      }
      const full = join(path, file);
      const info = await stat(full).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
        throw new FormatError(`${full}: cannot be opened: ${error.message}`);
      });
      if (!info) return undefined;
      if (!info.isFile()) throw new FormatError(`${full}: is not a file`);
      let opened: Promise<FileHandle> | undefined;
      let reads = 0;
      return {
        size: info.size,
        async read(offset, length, into) {
          checkRange(full, info.size, offset, length);
          const bytes = into && into.byteLength >= length ? into.subarray(0, length) : new Uint8Array(length);
          reads++;
          opened ??= open(full, "r");
          const own = opened;
          try {
            const handle = await own;
            for (let done = 0; done < length; ) {
              const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
              if (bytesRead === 0)
                throw new FormatError(
                  `${full}: ended at byte ${offset + done}; it had ${info.size} when it was opened`,
                );
              done += bytesRead;
            }
          } finally {
            if (--reads === 0) {
              opened = undefined;
              await own.then((handle) => handle.close());
            }
          }
          return bytes;
        },
      };
    },
  };
}

/** A GGUF file on disk, together with the other parts of its model if it is one of several. */
export const file = (path: string): ModelFiles => onlyParts(folder(dirname(path)), basename(path));
