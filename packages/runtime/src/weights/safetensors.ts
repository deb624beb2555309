import { FormatError, reason, show } from "../error.js";
import { type FileSource, isRecord } from "../files/files.js";
import { bytesByType, missingTensor, rowReader, type StoredDType, type WeightSource } from "./source.js";

// The safetensors format (https://huggingface.co/docs/safetensors): 8 bytes, the little-endian length of the header;
// the header, JSON of { name: { dtype, shape, data_offsets: [begin, end] } } and optionally __metadata__, strings by
// name; then the tensors, in which each byte is used exactly once.

const largestHeader = 100_000_000;

/** Bits of one element of every dtype that the format knows. */
const elementBits: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
}; // prettier-ignore
const readable: Readonly<Record<string, StoredDType>> = { F32: "f32", F16: "f16", BF16: "bf16" };

/** One entry of a safetensors header. `begin` and `end` are bytes from the start of the file. */
interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads and checks the header of a safetensors file. Rejects with a {@link FormatError} if the header is cut short,
 * malformed or larger than 100 MB, if a name repeats, if an element type is unknown or a shape overflows, or if tensors
 * overlap, leave holes, or are not of the size of their shape.
 */
export async function readSafetensors(source: FileSource, file: string): Promise<WeightSource> {
  const entries = new Map((await readHeader(source, file)).map((entry) => [entry.name, entry]));
  return {
    name: file,
    names: [...entries.keys()],
    types: bytesByType([...entries.values()].map(({ dtype, begin, end }) => [dtype, end - begin])),
    has: (name) => entries.has(name),
    tensor(name) {
      const entry = entries.get(name);
      if (!entry) throw missingTensor(file, name, entries);
      const dtype = Object.hasOwn(readable, entry.dtype) ? readable[entry.dtype] : undefined;
      if (!dtype)
        throw new FormatError(
          `${file}: tensor "${name}" is ${entry.dtype}; this reader takes ${Object.keys(readable).join(", ")}`,
        );
      return {
        name,
        dtype,
        shape: entry.shape,
        read: rowReader(source, entry.begin, entry.end - entry.begin, entry.shape),
      };
    },
  };
}

async function readHeader(source: FileSource, file: string): Promise<Entry[]> {
  if (source.size < 8) throw new FormatError(`${file}: ${source.size} bytes; a safetensors file has 8 at least`);
  const prefix = await source.read(0, 8);
  const said = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  const length = Number(said);
  if (length > largestHeader)
    throw new FormatError(`${file}: says that its header has ${said} bytes; ${largestHeader} is the most allowed`);
  if (8 + length > source.size)
    throw new FormatError(`${file}: says that its header has ${length} bytes; the file has ${source.size}`);
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await source.read(8, length));
    header = JSON.parse(text);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError(`${file}: the header is not JSON in UTF-8: ${reason(error)}`);
  }
  if (!isRecord(header) || !text.startsWith("{"))
    throw new FormatError(`${file}: the header is ${show(header)}; it must be an object of tensors by name`);
  const twice = repeatedKey(text);
  if (twice !== undefined) throw new FormatError(`${file}: the header has "${twice}" twice`);
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") checkMetadata(value, file);
    else entries.push(readEntry(name, value, file, 8 + length));
  }
  checkPlaces(entries, file, 8 + length, source.size);
  return entries;
}

function checkMetadata(value: unknown, file: string): void {
  if (!isRecord(value) || Object.values(value).some((entry) => typeof entry !== "string")) {
    throw new FormatError(`${file}: __metadata__ is ${show(value)}; it must be an object of strings`);
  }
}

function readEntry(name: string, value: unknown, file: string, start: number): Entry {
  const of = `${file}: tensor "${name}"`;
  if (!isRecord(value))
    throw new FormatError(`${of} is ${show(value)}; it must be an object of dtype, shape and data_offsets`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(elementBits, dtype)) {
    throw new FormatError(`${of}: dtype is ${show(dtype)}; it must be one of ${Object.keys(elementBits).join(", ")}`);
  }
  const whole = (number: unknown): number is number => Number.isSafeInteger(number) && (number as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(whole))
    throw new FormatError(`${of}: shape is ${show(shape)}; it must be a list of whole numbers of at least 0`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(whole)) {
    throw new FormatError(`${of}: data_offsets are ${show(offsets)}; they must be two whole numbers of at least 0`);
  }
  const bits = shape.reduce((product: number, size: number) => product * size, elementBits[dtype]!);
  if (!Number.isSafeInteger(bits) || bits % 8 !== 0)
    throw new FormatError(`${of}: shape ${show(shape)} of ${dtype} is no whole number of bytes below 2^50`);
  const [begin, end] = offsets as [number, number];
  if (end - begin !== bits / 8)
    throw new FormatError(
      `${of}: data_offsets ${begin} to ${end} hold ${end - begin} bytes; shape ${show(shape)} of ${dtype} takes ${bits / 8}`,
    );
  return { name, dtype, shape, begin: start + begin, end: start + end };
}

/** Tensors must fill the file after the header, one after the other in some order. */
function checkPlaces(entries: readonly Entry[], file: string, start: number, size: number): void {
  let at = start;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) {
      const what =
        begin < at
          ? "overlaps the tensor before it, which ends"
          : "leaves a hole after the tensor before it, which ends";
      throw new FormatError(`${file}: tensor "${name}" starts at byte ${begin} and ${what} at byte ${at}`);
    }
    if (end > size) throw new FormatError(`${file}: tensor "${name}" ends at byte ${end}; the file has ${size}`);
    at = end;
  }
  if (at !== size) throw new FormatError(`${file}: the tensors end at byte ${at}; the file has ${size}`);
}

/** The first key that a JSON object has twice at its top level; JSON.parse would keep the last. `text` must be JSON. */
function repeatedKey(text: string): string | undefined {
  const seen = new Set<string>();
  const colon = /\s*:/y;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x7b || c === 0x5b) depth++;
    else if (c === 0x7d || c === 0x5d) depth--;
    else if (c === 0x22) {
      const from = i++;
      while (text.charCodeAt(i) !== 0x22) i += text.charCodeAt(i) === 0x5c ? 2 : 1;
      colon.lastIndex = i + 1;
      if (depth !== 1 || !colon.test(text)) continue;
      const key = JSON.parse(text.slice(from, i + 1)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}
