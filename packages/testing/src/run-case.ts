import {
  type Backend,
  type Buffer,
  catalogue,
  type DType,
  elementBytes,
  fromBFloat16,
  fromFloat16,
  type Operands,
  type OpName,
  reference,
  type Slice,
  type Spec,
} from "@ziggurat/tensor";
import type { Case } from "./case.js";
import { type Placed, type Placement, place } from "./place.js";
import { randomFrom, seedOf } from "./random.js";

/** A backend that does not do what the catalogue says. */
export class ConformanceError extends Error {
  override readonly name = "ConformanceError";
}

type Images = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

interface Prepared {
  readonly inputs: ReturnType<Case["inputs"]>;
  readonly placement: Placement;
  /** The bytes that the reference leaves behind. */
  readonly expected: Images;
}

/**
 * The data of each case by seed and alignment. Variants of a backend share it, since it takes longer than most runs.
 */
const prepared = new WeakMap<Case, Map<string, Promise<Prepared>>>();

function prepare(test: Case, seed: number, aligned?: boolean): Promise<Prepared> {
  const bySeed = prepared.get(test) ?? new Map<string, Promise<Prepared>>();
  prepared.set(test, bySeed);
  const key = `${seed} ${aligned}`;
  const make = async () => {
    const random = randomFrom(seedOf(test.name, seed));
    const inputs = test.inputs(random);
    const placement = place(test, inputs, random, aligned);
    return { inputs, placement, expected: await execute(reference(), test, placement) };
  };
  const found = bySeed.get(key) ?? make();
  bySeed.set(key, found);
  return found;
}

/**
 * Runs one case on a backend and on the reference. Throws a {@link ConformanceError} if an element differs by more than
 * the catalogue's tolerance, or if a byte changed that the op must not write: of an operand that it only reads, of
 * padding, or of the guards around every operand.
 */
export async function runCase(backend: Backend, test: Case, seed: number, aligned?: boolean): Promise<void> {
  const { inputs, placement, expected } = await prepare(test, seed, aligned);
  const got = await execute(backend, test, placement);
  const fail = (what: string) => {
    throw new ConformanceError(`${test.name}: ${what}; seed ${seed}`);
  };
  const rule = catalogue[test.op];
  const parameter = Object.keys(rule.dtypes)[0];
  const measured =
    parameter === undefined ? (Object.keys(rule.tolerance)[0] as DType) : (test.spec[parameter] as DType);
  const tolerance = (rule.tolerance as Partial<Record<DType, number>>)[measured] ?? 0;
  const aliases = Object.keys(test.alias);
  for (const operand of placement.operands.filter(({ name, written }) => written && !aliases.includes(name))) {
    const allowed = (index: number, value: number) =>
      tolerance * (test.magnitude ? test.magnitude(inputs, index) : 1 + Math.abs(value));
    const wrong = compare(operand, expected, got, allowed);
    if (wrong) fail(wrong);
  }
  for (const [image, bytes] of Object.entries(placement.images)) {
    const written = placement.operands.filter((operand) => operand.written && operand.image === image);
    const stray = bytes.findIndex(
      (byte, at) =>
        got[image]![at] !== byte && !written.some(({ offset, bytes }) => at >= offset && at < offset + bytes),
    );
    if (stray >= 0)
      fail(`byte ${stray} of the buffer of ${describe(placement, image)} changed, which is no place to write`);
  }
}

const describe = ({ operands }: Placement, image: string) =>
  operands
    .filter((operand) => operand.image === image)
    .map(({ name, offset, bytes }) => `${name} [bytes ${offset} to ${offset + bytes}]`)
    .join(", ");

/** Uploads all operands, runs the op once, and reads every buffer back. */
async function execute(backend: Backend, { op, spec }: Case, { operands, images }: Placement): Promise<Images> {
  const buffers: Record<string, Buffer> = {};
  try {
    for (const [image, bytes] of Object.entries(images)) {
      buffers[image] = backend.allocate(bytes.byteLength, "conformance");
      backend.write({ buffer: buffers[image], offset: 0 }, bytes);
    }
    const slices = operands.map(({ name, image, offset }): [string, Slice] => [
      name,
      { buffer: buffers[image]!, offset },
    ]);
    const kernel = await backend.prepare(op, spec as unknown as Spec<OpName>);
    backend.dispatch(kernel, Object.fromEntries(slices) as unknown as Operands<OpName>);
    const read = Object.entries(buffers).map(
      async ([image, buffer]) => [image, await backend.read({ buffer, offset: 0 }, buffer.bytes)] as const,
    );
    return Object.fromEntries(await Promise.all(read));
  } finally {
    for (const buffer of Object.values(buffers)) backend.free(buffer);
  }
}

/**
 * What is wrong with a written operand, or undefined. Cells and other i32 must be exact, f32 and 16-bit numbers within
 * `allowed`.
 */
function compare(
  { name, dtype, image, offset, bytes }: Placed,
  expected: Images,
  got: Images,
  allowed: (index: number, value: number) => number,
): string | undefined {
  const size = elementBytes[dtype as keyof typeof elementBytes];
  const [want, have] = [expected, got].map(
    (images) => new DataView(images[image]!.buffer, images[image]!.byteOffset + offset, bytes),
  ) as [DataView, DataView];
  let worst = { excess: Number.NEGATIVE_INFINITY, index: -1 };
  let off = 0;
  for (let index = 0; index < bytes / size; index++) {
    const [b, a] = [element(want, dtype, index), element(have, dtype, index)];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const finite = dtype !== "i32" && Number.isFinite(a) && Number.isFinite(b);
    const excess = finite ? Math.abs(a - b) - allowed(index, b) : Number.POSITIVE_INFINITY;
    if (excess <= 0) continue;
    off++;
    if (excess > worst.excess) worst = { excess, index };
  }
  if (off === 0) return undefined;
  const { index } = worst;
  const limit = dtype === "i32" ? "exactly" : `within ${allowed(index, element(want, dtype, index))}`;
  return `${name}[${index}] is ${element(have, dtype, index)}, expected ${element(want, dtype, index)} ${limit}; ${off} of ${bytes / size} elements are off`;
}

function element(view: DataView, dtype: DType, index: number): number {
  if (dtype === "f32") return view.getFloat32(4 * index, true);
  if (dtype === "i32") return view.getInt32(4 * index, true);
  return (dtype === "f16" ? fromFloat16 : fromBFloat16)(view.getUint16(2 * index, true));
}
