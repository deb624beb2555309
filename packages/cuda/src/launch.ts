import type { OpName, Spec } from "@ziggurat/tensor";

// The launches of a dispatch, as data. A plan turns a spec into launches; `encode` turns launches into the words that
// the addon reads.

/**
 * An argument of a kernel: the address of an operand (null if the spec leaves the operand out), or a number of 4 bytes.
 * Addresses come first.
 */
export type Argument =
  | { readonly operand: string; readonly offset: number }
  | { readonly integer: number }
  | { readonly float: number };

/** The operand name of the temporary memory of a launch. */
export const scratch = "scratch";

/**
 * The operand name of words that are 0 before and after every launch: the backend's counters of blocks that have
 * arrived.
 */
export const counters = "counters";
/** Count of these words. */
export const counterWords = 16384;

export const at = (operand: string, offset = 0): Argument => ({ operand, offset });
export const int = (...values: readonly (number | boolean)[]): Argument[] =>
  values.map((value) => ({ integer: Number(value) }));
export const float = (...values: readonly number[]): Argument[] => values.map((value) => ({ float: value }));

export interface Launch {
  /** The source file is native/<file>.cu. */
  readonly file: string;
  readonly kernel: string;
  readonly grid: readonly [x: number, y?: number, z?: number];
  readonly threads: number;
  /** Bytes of dynamic shared memory. */
  readonly shared?: number;
  readonly args: readonly Argument[];
}

/**
 * A matrix product through cuBLASLt: out[rows, outs] of x[rows, width], 16-bit numbers in scratch memory, and
 * weight[outs, width], an operand of 16-bit numbers.
 */
export interface Product {
  readonly product: {
    readonly rows: number;
    readonly width: number;
    readonly outs: number;
    readonly half: boolean;
    readonly workspace: number;
  };
  /** Addresses: x, weight, bias, residual, out, workspace. */
  readonly args: readonly Argument[];
}

/** The launches of one dispatch, in order. */
export interface Work {
  readonly launches: readonly (Launch | Product)[];
  /** Bytes of temporary memory. */
  readonly scratch?: number;
  /** Whether launches use {@link counters}. */
  readonly counters?: boolean;
}

/** The facts that a plan may use beside its spec. */
export interface Place {
  /** Whether all operands start at multiples of 16 bytes. */
  readonly aligned: boolean;
  readonly multiprocessors: number;
  /** Whether the kernels of native/<file>.sm90a.cu, for compute capability 9.0, exist and run on this device. */
  readonly hopper: boolean;
  /** Whether cuBLASLt is available. */
  readonly cublasLt: boolean;
}

/** Turns the spec of an op into launches. Throws an `OpError` if the kernels do not support the spec. */
export type Plan<N extends OpName> = (spec: Required<Spec<N>>, place: Place) => Work;

/** The address of an operand in encoded launches: the words at `byte` receive its buffer, then its offset. */
interface Patch {
  readonly byte: number;
  readonly operand: string;
  readonly offset: number;
}

export interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly patches: readonly Patch[];
  readonly scratch: number;
  readonly counters: boolean;
}

/**
 * Encodes launches as words, see `Device::launchAll` in addon/commands.cc. `kernelId` loads the kernel of a launch and
 * returns its id; `used` says whether the spec includes an operand.
 */
export function encode(work: Work, kernelId: (launch: Launch) => number, used: (operand: string) => boolean): Encoded {
  const words: number[] = [];
  const floats: [word: number, value: number][] = [];
  const patches: Patch[] = [];
  for (const launch of work.launches) {
    const addresses = launch.args.filter((argument) => "operand" in argument);
    const scalars = launch.args.slice(addresses.length);
    if (scalars.some((argument) => "operand" in argument)) throw new Error("addresses come first");
    // The driver expects the exact size of the arguments, without padding at the end.
    const argumentWords = 2 * addresses.length + scalars.length;
    if ("product" in launch) {
      const { rows, width, outs, half, workspace } = launch.product;
      words.push(0, rows, width, outs, Number(half), workspace);
    } else {
      const [x, y = 1, z = 1] = launch.grid;
      words.push(kernelId(launch), x, y, z, launch.threads, launch.shared ?? 0);
    }
    words.push(4 * argumentWords, addresses.length);
    addresses.forEach(({ operand, offset }, i) => {
      words.push(8 * i);
      if (operand === counters ? work.counters : operand === scratch ? (work.scratch ?? 0) > 0 : used(operand))
        patches.push({ byte: 4 * words.length, operand, offset });
      words.push(0, 0, 0);
    });
    for (const _ of addresses) words.push(0, 0);
    for (const argument of scalars) {
      if ("float" in argument) floats.push([words.length, argument.float]);
      words.push("integer" in argument ? argument.integer : 0);
    }
  }
  const view = new DataView(new ArrayBuffer(4 * words.length));
  words.forEach((word, i) => view.setUint32(4 * i, word, true));
  for (const [word, value] of floats) view.setFloat32(4 * word, value, true);
  return {
    bytes: new Uint8Array(view.buffer),
    view,
    patches,
    scratch: work.scratch ?? 0,
    counters: work.counters ?? false,
  };
}

/** Forbids that the first of the encoded launches overlaps the launch before it. */
export function serialised(launches: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  // The highest bit of the fifth word, see `Device::launchAll`.
  launches[19]! |= 0x80;
  return launches;
}

/** Encoded launches, in order; undefined stands for none. */
export function joined(parts: readonly (Uint8Array | undefined)[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + (part?.length ?? 0), 0));
  let end = 0;
  for (const part of parts) {
    if (part) all.set(part, end);
    end += part?.length ?? 0;
  }
  return all;
}

export const over = (count: number, each: number) => Math.ceil(count / each);
/** Threads of a block for `items` items: whole warps, at most `most` threads. */
export const threadsFor = (items: number, most: number) => Math.min(most, Math.max(32, 32 * over(items, 32)));
