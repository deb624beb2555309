import {
  bytesOf,
  catalogue,
  type DType,
  type elementBytes,
  isQuantised,
  type OperandRule,
  operandIsUsed,
  toBFloat16,
  toFloat16,
} from "@ziggurat/tensor";
import type { Case } from "./case.js";
import type { Random } from "./random.js";

/** Where one operand of a case is. */
export interface Placed {
  readonly name: string;
  readonly dtype: DType;
  readonly written: boolean;
  /** The image that holds it. */
  readonly image: string;
  readonly offset: number;
  readonly bytes: number;
}

/** The operands of a case as bytes: what every buffer holds first, with guards of noise around the operands. */
export interface Placement {
  readonly operands: readonly Placed[];
  readonly images: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
}

/** Tables in device memory that a cache keeps in one buffer, also those that an op writes. */
const tables = ["offset", "length", "seen", "ended", "keep", "counter", "base", "targetOffset", "targetLength"];

const pad = (bytes: number, to: number) => Math.ceil(bytes / to) * to;

export function place(
  { op, spec, alias }: Case,
  inputs: Readonly<Record<string, ArrayLike<number> | undefined>>,
  random: Random,
  alignment?: boolean,
): Placement {
  const dims = spec as Readonly<Record<string, number>>;
  const dtypes = spec as Readonly<Record<string, DType>>;
  // Half of all cases start where vector loads are aligned, half do not, unless `alignment` says.
  const chance = random.int(2) === 0;
  const aligned = alignment ?? chance;
  const sizes: Record<string, number> = {};
  const operands: Placed[] = [];
  const rules = Object.entries<OperandRule>(catalogue[op].operands).filter(([, { when }]) => operandIsUsed(when, spec));
  for (const [name, rule] of rules.filter(([name]) => alias[name] === undefined)) {
    const image = tables.includes(name) ? "tables" : name;
    const dtype = dtypes[rule.dtype] ?? (rule.dtype as DType);
    const bytes = bytesOf(dtype, rule.shape({ ...optionsOf(op), ...dims }));
    const guard = aligned || isQuantised(dtype) ? 256 : 4 * (1 + random.int(5));
    const offset = aligned || isQuantised(dtype) ? pad((sizes[image] ?? 0) + guard, 256) : (sizes[image] ?? 0) + guard;
    sizes[image] = offset + pad(bytes, 4);
    operands.push({ name, dtype, written: rule.access !== "read", image, offset, bytes });
  }
  for (const [name, other] of Object.entries(alias)) {
    if (rules.some(([used]) => used === name))
      operands.push({ ...operands.find((operand) => operand.name === other)!, name });
  }
  const images = Object.fromEntries(Object.entries(sizes).map(([image, size]) => [image, noise(random, size + 64)]));
  for (const { name, dtype, image, offset, bytes } of operands) {
    const numbers = inputs[name];
    if (numbers) images[image]!.set(encode(dtype, numbers, bytes, `${op}: ${name}`), offset);
  }
  return { operands, images };
}

const optionsOf = (op: Case["op"]) =>
  Object.fromEntries(((catalogue[op] as { options?: readonly string[] }).options ?? []).map((name) => [name, 0]));

/** Random bytes that are numbers of ordinary size in every dtype. */
function noise(random: Random, bytes: number): Uint8Array<ArrayBuffer> {
  const words = Uint32Array.from(random.list(bytes / 4, () => (0x40000000 | random.int(2 ** 24)) >>> 0));
  return new Uint8Array(words.buffer);
}

function encode(dtype: DType, numbers: ArrayLike<number>, bytes: number, what: string): Uint8Array {
  const encoded = isQuantised(dtype) ? Uint8Array.from(numbers) : new Uint8Array(elementsOf(dtype, numbers).buffer);
  if (encoded.byteLength !== bytes)
    throw new RangeError(`${what}: the case gives ${encoded.byteLength} bytes of ${bytes}`);
  return encoded;
}

function elementsOf(dtype: keyof typeof elementBytes, numbers: ArrayLike<number>) {
  switch (dtype) {
    case "f32":
      return Float32Array.from(numbers);
    case "i32":
      return Int32Array.from(numbers);
    case "f16":
      return Uint16Array.from(numbers, toFloat16);
    case "bf16":
      return Uint16Array.from(numbers, toBFloat16);
  }
}
