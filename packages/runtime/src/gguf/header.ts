import { FormatError, show } from "../error.js";
import { inStretches } from "../event-loop.js";
import type { FileSource } from "../files/files.js";

// The header of a GGUF file (github.com/ggml-org/ggml, docs/gguf.md): "GGUF"; the version; the numbers of tensors and
// of metadata; the metadata, each a name, a type and a value; each tensor's name, axes (innermost first), type and
// place. Everything is little-endian. Every count is checked against the bytes that are left and against a limit, so
// that work and memory are bounded for any file.

/** A string that is not UTF-8 is given as its bytes. */
export type MetadataValue = string | number | bigint | boolean | Uint8Array | readonly MetadataValue[];

export interface TensorInfo {
  readonly name: string;
  /** Row-major: the innermost axis last. */
  readonly shape: readonly number[];
  /** The format's number of the element type. */
  readonly type: number;
  /** Bytes from the start of the tensors. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: readonly TensorInfo[];
  /** Bytes before the padding that precedes the tensors. */
  readonly end: number;
}

/** Bytes of a header. The metadata hold the vocabulary: the largest known takes about 15 MB. */
const largestHeader = 256 * 2 ** 20;
/** Holds the headers of vocabularies up to about 50,000 tokens. */
const firstRead = 2 * 2 ** 20;
/** Metadata, and tensors: real files have some tens and some thousands. */
const mostEntries = 2 ** 16;
/** Elements of all lists together: four million tokens with their scores, types and merges. */
const mostElements = 2 ** 24;
/** Lists within lists. */
const deepest = 4;
/** Bytes of a name, as the format says. */
const longestName = 2 ** 16 - 1;
/** Elements of a list, and bytes of strings, that are read between two turns of the event loop. */
const elementsAtOnce = 2 ** 13;
const bytesAtOnce = 2 ** 20;

/** The header continues beyond the bytes that were read. */
class Short extends Error {}

/**
 * Reads the header at the start of `source`. Rejects with {@link FormatError} if it is cut short, malformed, larger
 * than 256 MiB, has more than 65,536 metadata or tensors or 2^24 list elements, or if a name repeats.
 */
export async function readHeader(source: FileSource, file: string): Promise<GgufHeader> {
  let bytes = new Uint8Array(0);
  for (let length = Math.min(source.size, firstRead); ; length = Math.min(source.size, 2 * length)) {
    // Only what is new is read: it may come over a network.
    const longer = new Uint8Array(length);
    longer.set(bytes);
    longer.set(await source.read(bytes.length, length - bytes.length), bytes.length);
    bytes = longer;
    try {
      return await inStretches(parseHeader(bytes, source.size, file));
    } catch (error) {
      if (!(error instanceof Short)) throw error;
      if (length === source.size) throw new FormatError(`${file}: ${source.size} bytes; the header is cut short`);
      if (length >= largestHeader)
        throw new FormatError(
          `${file}: the header has more than ${length} bytes; ${largestHeader} is the most allowed`,
        );
    }
  }
}

/** Bytes of values of fixed size, by the format's number of the type. */
const fixedBytes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const stringType = 8;
const arrayType = 9;

/** Reads values one after the other. `size` is that of the file, of which `bytes` are the first. */
function cursor(bytes: Uint8Array, size: number, file: string) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const nameDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let at = 0;
  let elements = 0;
  const take = (length: number): number => {
    if (at + length > size) throw new FormatError(`${file}: ${size} bytes; what is at byte ${at} takes ${length}`);
    if (at + length > bytes.byteLength) throw new Short();
    at += length;
    return at - length;
  };
  /** A number of things that take `least` bytes each. */
  const count = (what: string, least: number, most = Number.MAX_SAFE_INTEGER): number => {
    const from = take(8);
    const low = view.getUint32(from, true);
    const said = view.getUint32(from + 4, true) === 0 ? low : view.getBigUint64(from, true);
    if (said > Math.floor((size - at) / least)) {
      throw new FormatError(
        `${file}: says at byte ${from} that there are ${said} ${what}; the ${size - at} bytes that follow cannot hold them`,
      );
    }
    if (said > most)
      throw new FormatError(
        `${file}: says at byte ${from} that there are ${said} ${what}; ${most} are the most allowed`,
      );
    return Number(said);
  };
  /** Moves past a string; returns its first byte. */
  const skipText = (what: string): number => take(count(`bytes of ${what}`, 1));
  const textAt = (from: number, to: number): string | Uint8Array => {
    try {
      return decoder.decode(bytes.subarray(from, to));
    } catch {
      return bytes.slice(from, to);
    }
  };
  const text = (what: string): string | Uint8Array => textAt(skipText(what), at);
  /** A name; bytes that are not UTF-8 become U+FFFD, so it is none that is looked for. */
  const name = (what: string): string => {
    const from = take(count(`bytes of ${what}`, 1, longestName));
    return nameDecoder.decode(bytes.subarray(from, at));
  };
  /**
   * Up to `most` strings. They are decoded together, with a line break after each, at which any incomplete sequence
   * ends. If they are not UTF-8, they are decoded one by one.
   */
  const someTexts = (what: string, most: number): (string | Uint8Array)[] => {
    const places: [from: number, to: number][] = [];
    let total = 0;
    while (places.length < most && total < bytesAtOnce) {
      const from = skipText(what);
      places.push([from, at]);
      total += at - from + 1;
    }
    if (places.length === 1) return [textAt(...places[0]!)];
    const joined = new Uint8Array(total);
    const ends: number[] = [];
    let written = 0;
    let units = 0;
    for (const [from, to] of places) {
      for (let byte = from; byte < to; byte++) {
        const value = bytes[byte]!;
        joined[written++] = value;
        // A sequence of bytes is one UTF-16 unit, of four bytes two.
        if ((value & 0xc0) !== 0x80) units += value >= 0xf0 ? 2 : 1;
      }
      joined[written++] = 0x0a;
      ends.push(units++);
    }
    let all: string;
    try {
      all = decoder.decode(joined);
    } catch {
      return places.map(([from, to]) => textAt(from, to));
    }
    return ends.map((end, i) => all.slice(i === 0 ? 0 : ends[i - 1]! + 1, end));
  };
  const scalar = (type: number): number | bigint | boolean => {
    const from = take(fixedBytes[type]!);
    switch (type) {
      case 0:
        return view.getUint8(from);
      case 1:
        return view.getInt8(from);
      case 2:
        return view.getUint16(from, true);
      case 3:
        return view.getInt16(from, true);
      case 4:
        return view.getUint32(from, true);
      case 5:
        return view.getInt32(from, true);
      case 6:
        return view.getFloat32(from, true);
      case 7:
        return view.getUint8(from) !== 0;
      case 10:
      case 11: {
        const whole = type === 10 ? view.getBigUint64(from, true) : view.getBigInt64(from, true);
        const number = Number(whole);
        return Number.isSafeInteger(number) ? number : whole;
      }
      default:
        return view.getFloat64(from, true);
    }
  };
  function* list(what: string, depth: number): Generator<void, readonly MetadataValue[]> {
    const element = view.getUint32(take(4), true);
    const nested = element === arrayType && depth < deepest;
    if (element !== stringType && !nested && !(element in fixedBytes)) {
      throw new FormatError(
        `${file}: ${what} is a list of type ${element}; lists hold numbers, truth values, strings, or lists ${deepest} deep`,
      );
    }
    const length = count(`elements of ${what}`, nested ? 12 : (fixedBytes[element] ?? 8), mostElements);
    elements += length;
    if (elements > mostElements)
      throw new FormatError(`${file}: ${what} ends beyond ${mostElements} elements, the most that all lists may have`);
    const values: MetadataValue[] = [];
    while (values.length < length) {
      yield;
      const left = Math.min(elementsAtOnce, length - values.length);
      if (nested) values.push(yield* list(what, depth + 1));
      else if (element === stringType) values.push(...someTexts(what, left));
      else for (let i = 0; i < left; i++) values.push(scalar(element));
    }
    return values;
  }
  return {
    take,
    count,
    name,
    word: () => view.getUint32(take(4), true),
    long: () => view.getBigUint64(take(8), true),
    *value(what: string): Generator<void, MetadataValue> {
      const type = view.getUint32(take(4), true);
      if (type === stringType) return text(what);
      if (type === arrayType) return yield* list(what, 1);
      if (!(type in fixedBytes))
        throw new FormatError(`${file}: ${what} is of type ${type}, which the format does not have`);
      return scalar(type);
    },
    get at() {
      return at;
    },
  };
}

function* parseHeader(bytes: Uint8Array, size: number, file: string): Generator<void, GgufHeader> {
  const read = cursor(bytes, size, file);
  if (size < 24) throw new FormatError(`${file}: ${size} bytes; a GGUF file has 24 at least`);
  const magic = String.fromCharCode(...bytes.subarray(read.take(4), read.at));
  if (magic !== "GGUF")
    throw new FormatError(`${file}: starts with ${JSON.stringify(magic)}; a GGUF file starts with "GGUF"`);
  const version = read.word();
  if (version === 0x03000000)
    throw new FormatError(`${file}: is a big-endian GGUF file; only little-endian ones can be read`);
  // Version 3 differs from 2 in that it may be big-endian.
  if (version !== 3 && version !== 2)
    throw new FormatError(`${file}: is of GGUF version ${version}; versions 2 and 3 can be read`);
  const tensorCount = read.count("tensors", 24, mostEntries);
  const metadataCount = read.count("metadata", 13, mostEntries);
  const metadata = new Map<string, MetadataValue>();
  for (let i = 0; i < metadataCount; i++) {
    const name = read.name("a metadata name");
    if (metadata.has(name)) throw new FormatError(`${file}: has the metadata ${show(name)} twice`);
    metadata.set(name, yield* read.value(show(name)));
  }
  const tensors = new Map<string, TensorInfo>();
  for (let i = 0; i < tensorCount; i++) {
    if (i % 1024 === 0) yield;
    const tensor = readTensor(read, file);
    if (tensors.has(tensor.name)) throw new FormatError(`${file}: has the tensor ${show(tensor.name)} twice`);
    tensors.set(tensor.name, tensor);
  }
  return { metadata, tensors: [...tensors.values()], end: read.at };
}

function readTensor(read: ReturnType<typeof cursor>, file: string): TensorInfo {
  const name = read.name("a tensor's name");
  const axes = read.word();
  if (axes < 1 || axes > 4) throw new FormatError(`${file}: tensor ${show(name)} has ${axes} axes; it may have 1 to 4`);
  const whole = (what: string, least: number): number => {
    const value = read.long();
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < least) {
      throw new FormatError(
        `${file}: tensor ${show(name)}: ${what} is ${value}; it must be a whole number from ${least} to 2^53 - 1`,
      );
    }
    return Number(value);
  };
  const shape = Array.from({ length: axes }, () => whole("an axis", 1)).reverse();
  const type = read.word();
  return { name, shape, type, offset: whole("its offset", 0) };
}
