import type { OpName, Spec } from "@ziggurat/tensor";

// What a dispatch is made of: launches of kernels, as data. A plan turns a spec into launches; `encode` turns those
// into the words that the addon reads.

/**
 * A kernel's argument: the address of an operand (null where the spec leaves it out), or a number of 4 bytes. Addresses
 * come first.
 */
export type Argument =
  | { readonly operand: string; readonly offset: number }
  | { readonly integer: number }
  | { readonly float: number };

/** The name under which a launch finds its own temporary memory. */
export const scratch = "scratch";

export const at = (operand: string, offset = 0): Argument => ({ operand, offset });
export const int = (...values: readonly (number | boolean)[]): Argument[] =>
  values.map((value) => ({ integer: Number(value) }));
export const float = (...values: readonly number[]): Argument[] => values.map((value) => ({ float: value }));

export interface Launch {
  /** native/<file>.cu */
  readonly file: string;
  readonly kernel: string;
  readonly grid: readonly [x: number, y?: number, z?: number];
  readonly threads: number;
  /** Bytes of dynamic shared memory. */
  readonly shared?: number;
  readonly args: readonly Argument[];
}

/**
 * A matrix product through cuBLASLt: out[rows, outs] of x[rows, width] and weight[outs, width], which are 16-bit
 * numbers in scratch memory and an operand.
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

/** What runs for one dispatch. */
export interface Work {
  readonly launches: readonly (Launch | Product)[];
  /** Bytes of temporary memory. */
  readonly scratch?: number;
}

/** What a plan may know beside its spec. */
export interface Place {
  /** Whether all operands start at multiples of 16 bytes. */
  readonly aligned: boolean;
  readonly multiprocessors: number;
  /** Whether the kernels for compute capability 9.0, in native/<file>.sm90a.cu, are there and run here. */
  readonly hopper: boolean;
  /** Whether cuBLASLt is there. */
  readonly cublasLt: boolean;
}

/** Which launches an op takes. Throws an `OpError` where a spec is beyond what the kernels can do. */
export type Plan<N extends OpName> = (spec: Required<Spec<N>>, place: Place) => Work;

/** An operand's address within encoded launches: the words at `byte` get its buffer, then its offset. */
export interface Patch {
  readonly byte: number;
  readonly operand: string;
  readonly offset: number;
}

export interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly patches: readonly Patch[];
  readonly scratch: number;
}

/**
 * Launches as words: see `Device::launchAll` in addon/device.cc. `kernelId` makes a kernel known; `used` says which
 * operands there are.
 */
export function encode(work: Work, kernelId: (launch: Launch) => number, used: (operand: string) => boolean): Encoded {
  const words: number[] = [];
  const floats: [word: number, value: number][] = [];
  const patches: Patch[] = [];
  for (const launch of work.launches) {
    const addresses = launch.args.filter((argument) => "operand" in argument);
    const scalars = launch.args.slice(addresses.length);
    if (scalars.some((argument) => "operand" in argument)) throw new Error("addresses come first");
    // The driver wants the arguments' exact size, without padding at the end.
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
      if (operand === scratch ? (work.scratch ?? 0) > 0 : used(operand))
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
  return { bytes: new Uint8Array(view.buffer), view, patches, scratch: work.scratch ?? 0 };
}

export const over = (count: number, each: number) => Math.ceil(count / each);
/** Threads of a block that takes `items`: whole warps, at most `most`. */
export const threadsFor = (items: number, most: number) => Math.min(most, Math.max(32, 32 * over(items, 32)));
