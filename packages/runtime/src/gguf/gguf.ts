import { FormatError, show } from "../error.js";
import type { FileSource } from "../files/files.js";
import { convert } from "../weights/convert.js";
import { bytesByType, missingTensor, rowReader, type StoredTensor, type WeightSource } from "../weights/source.js";
import { type GgufHeader, type MetadataValue, readHeader } from "./header.js";
import { type GgufForm, ggufName, isKey, isNorm, isQuery } from "./names.js";
import { type PlacedTensor, placeTensors } from "./tensors.js";

/** A GGUF file, or several that are one model. Headers have been read and checked, tensors have not been read. */
export interface Gguf {
  /** For errors. */
  readonly file: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** Tensors by their names in the file. */
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
}

/**
 * Reads and checks a header. `file` is the name for errors. Rejects with a {@link FormatError} if the header or the
 * place of a tensor is wrong, or if the file is one part of several.
 */
export async function readGguf(source: FileSource, file: string): Promise<Gguf> {
  const gguf = await readPart(source, file);
  const parts = gguf.metadata.get("split.count") ?? 1;
  if (parts !== 1 && parts !== 0) {
    throw new FormatError(
      `${file}: is one of ${show(parts)} parts; they must lie side by side, under names that end in -00001-of-0000N.gguf`,
    );
  }
  return gguf;
}

/** As {@link readGguf}, but the file may be one part of several. */
export async function readPart(source: FileSource, file: string): Promise<Gguf> {
  const header: GgufHeader = await readHeader(source, file);
  return { file, metadata: header.metadata, tensors: placeTensors(header, source, file) };
}

/** A tensor as it is in the file. Throws a {@link FormatError} if its element type is not supported. */
export function storedTensor({ info, dtype, begin, bytes, source }: PlacedTensor, name = info.name): StoredTensor {
  return { name, dtype: dtype(), shape: info.shape, read: rowReader(source, begin, bytes, info.shape) };
}

/**
 * The weights under transformers' names and in transformers' conventions: rows of queries and keys in the order for
 * rotary embedding by halves, norms without their offset. `headSize` is that of queries and keys.
 */
export function ggufWeights({ file, tensors }: Gguf, form: GgufForm, headSize: number): WeightSource {
  const { interleaved, normOffset } = form;
  const find = (name: string) => {
    const stored = ggufName(name, form);
    return stored === undefined ? undefined : tensors.get(stored);
  };
  return {
    name: file,
    names: [...tensors.keys()],
    types: bytesByType([...tensors.values()].map(({ type, bytes }) => [type, bytes])),
    has: (name) => find(name) !== undefined,
    tensor(name) {
      const found = find(name);
      if (!found) throw missingTensor(file, ggufName(name, form) ?? name, tensors);
      const stored = storedTensor(found, name);
      if (interleaved && (isQuery(name) || isKey(name))) return byHalves(stored, headSize);
      if (normOffset !== undefined && isNorm(name)) return withoutOffset(stored, normOffset);
      return stored;
    },
  };
}

/**
 * Brings the rows of each head from the order (0, half), (1, half + 1), ... to 0, 1, ..., half, half + 1, .... A row of
 * blocks is moved as a whole.
 */
function byHalves(stored: StoredTensor, headSize: number): StoredTensor {
  const { shape, name } = stored;
  const rows = shape[0]!;
  if (rows % headSize !== 0)
    throw new FormatError(`tensor "${name}" has ${rows} rows; they must be a multiple of the head size, ${headSize}`);
  return {
    ...stored,
    group: headSize,
    async read(range = { from: 0, to: rows }, into) {
      const bytes = await stored.read(range, into);
      const stride = bytes.byteLength / (range.to - range.from);
      const head = new Uint8Array(headSize * stride);
      for (let start = 0; start < bytes.byteLength; start += head.length) {
        head.set(bytes.subarray(start, start + head.length));
        for (let row = 0; row < headSize; row++) {
          const from = row < headSize / 2 ? 2 * row : 2 * row - headSize + 1;
          bytes.set(head.subarray(from * stride, (from + 1) * stride), start + row * stride);
        }
      }
      return bytes;
    },
  };
}

function withoutOffset(stored: StoredTensor, offset: number): StoredTensor {
  return {
    ...stored,
    dtype: "f32",
    async read() {
      const bytes = convert(
        await stored.read(),
        stored.dtype,
        "f32",
        stored.shape,
        stored.name,
      ).slice() as Uint8Array<ArrayBuffer>;
      const numbers = new Float32Array(bytes.buffer);
      for (let i = 0; i < numbers.length; i++) numbers[i]! -= offset;
      return bytes;
    },
  };
}
