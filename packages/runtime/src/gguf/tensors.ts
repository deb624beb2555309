import { FormatError } from "../error.js";
import type { FileSource } from "../files/files.js";
import type { StoredDType } from "../weights/source.js";
import type { GgufHeader, TensorInfo } from "./header.js";

/**
 * Element types by the format's number (enum ggml_type): name, weights of a block, bytes of a block, and the stored
 * dtype if it is supported.
 */
const types: Readonly<Record<number, readonly [name: string, weights: number, bytes: number, dtype?: StoredDType]>> = {
  0: ["F32", 1, 4, "f32"],
  1: ["F16", 1, 2, "f16"],
  2: ["Q4_0", 32, 18, "q4_0"],
  3: ["Q4_1", 32, 20, "q4_1"],
  6: ["Q5_0", 32, 22, "q5_0"],
  7: ["Q5_1", 32, 24, "q5_1"],
  8: ["Q8_0", 32, 34, "q8_0"],
  9: ["Q8_1", 32, 36],
  10: ["Q2_K", 256, 84],
  11: ["Q3_K", 256, 110],
  12: ["Q4_K", 256, 144, "q4_K"],
  13: ["Q5_K", 256, 176, "q5_K"],
  14: ["Q6_K", 256, 210, "q6_K"],
  15: ["Q8_K", 256, 292],
  16: ["IQ2_XXS", 256, 66],
  17: ["IQ2_XS", 256, 74],
  18: ["IQ3_XXS", 256, 98],
  19: ["IQ1_S", 256, 50],
  20: ["IQ4_NL", 32, 18],
  21: ["IQ3_S", 256, 110],
  22: ["IQ2_S", 256, 82],
  23: ["IQ4_XS", 256, 136],
  24: ["I8", 1, 1],
  25: ["I16", 1, 2],
  26: ["I32", 1, 4],
  27: ["I64", 1, 8],
  28: ["F64", 1, 8],
  29: ["IQ1_M", 256, 56],
  30: ["BF16", 1, 2, "bf16"],
  34: ["TQ1_0", 256, 54],
  35: ["TQ2_0", 256, 66],
  39: ["MXFP4", 32, 17],
};
const readable = Object.values(types).flatMap(([name, , , dtype]) => (dtype ? [name] : []));

/** A tensor whose bytes are known to be within the file. */
export interface PlacedTensor {
  readonly info: TensorInfo;
  /** Its element type, as the format names it. */
  readonly type: string;
  /** Throws a {@link FormatError} if the type is not supported. */
  readonly dtype: () => StoredDType;
  /** Bytes from the start of the file. */
  readonly begin: number;
  readonly bytes: number;
  /** The file. */
  readonly source: FileSource;
}

/**
 * The tensors by name. Throws a {@link FormatError} if a type is unknown, or if tensors are unaligned, overlap or end
 * beyond the file.
 */
export function placeTensors(
  { metadata, tensors, end }: GgufHeader,
  source: FileSource,
  file: string,
): Map<string, PlacedTensor> {
  const alignment = metadata.get("general.alignment") ?? 32;
  if (
    typeof alignment !== "number" ||
    !(alignment >= 1 && alignment <= 2 ** 20) ||
    (alignment & (alignment - 1)) !== 0
  ) {
    throw new FormatError(`${file}: general.alignment is ${String(alignment)}; it must be a power of two up to 2^20`);
  }
  const start = Math.ceil(end / alignment) * alignment;
  const placed = tensors.map((info) => place(info, start, alignment, source, file));
  let at = start;
  for (const { info, begin, bytes } of [...placed].sort((a, b) => a.begin - b.begin)) {
    if (begin < at)
      throw new FormatError(
        `${file}: tensor "${info.name}" starts at byte ${begin} and overlaps the one before it, which ends at byte ${at}`,
      );
    at = begin + bytes;
  }
  return new Map(placed.map((tensor) => [tensor.info.name, tensor]));
}

function place(info: TensorInfo, start: number, alignment: number, source: FileSource, file: string): PlacedTensor {
  const of = `${file}: tensor "${info.name}"`;
  const type = types[info.type];
  if (!type) throw new FormatError(`${of} is of the element type ${info.type}, which is not known`);
  const [name, weights, blockBytes, dtype] = type;
  const width = info.shape.at(-1)!;
  if (width % weights !== 0)
    throw new FormatError(`${of}: rows of ${width} numbers are no whole number of ${name} blocks of ${weights}`);
  const count = info.shape.reduce((product, axis) => product * axis, 1);
  const bytes = (count / weights) * blockBytes;
  if (!Number.isSafeInteger(count) || !Number.isSafeInteger(bytes))
    throw new FormatError(`${of}: shape [${info.shape.join(", ")}] is too large`);
  if (info.offset % alignment !== 0)
    throw new FormatError(`${of} starts at ${info.offset}, which is no multiple of ${alignment}`);
  const begin = start + info.offset;
  if (begin + bytes > source.size)
    throw new FormatError(`${of} ends at byte ${begin + bytes}; the file has ${source.size}`);
  return {
    info,
    type: name,
    begin,
    bytes,
    source,
    dtype() {
      if (!dtype) throw new FormatError(`${of} is ${name}; this reader takes ${readable.join(", ")}`);
      return dtype;
    },
  };
}
