import {
  catalogue,
  type DType,
  type OperandRule,
  type OpName,
  operandBytes,
  operandIsUsed,
  type Spec,
} from "@ziggurat/tensor";
import type { Settings } from "./shader.js";

/** The properties of a device by which kernels are chosen. */
export interface Traits {
  /** Lanes of a subgroup if their number and order are known, otherwise 0. */
  readonly subgroup: number;
  /** Whether shaders can compute in 16-bit floats. */
  readonly half: boolean;
  /** Whether a subgroup of 32 multiplies matrices of 16 x 16 numbers in f16, summed in f32. */
  readonly matrix: boolean;
  /** Whether there are dot products of four bytes at a time. */
  readonly dots: boolean;
  /** Most bytes of workgroup memory. */
  readonly workgroupBytes: number;
  /** Most bytes of one binding. */
  readonly bindingBytes: number;
  /** Whether the device is emulated in software. */
  readonly software: boolean;
}

/** An operand, or one plane of it, as bound for a kernel. */
export interface Bound {
  /** WGSL type of one element. */
  readonly type: string;
  readonly written: boolean;
  /** The operand that contains it; "" for the scratch memory of the backend. */
  readonly operand: string;
  /** Bytes from the start of the operand. */
  readonly offset: number;
  readonly bytes: number;
}

/** One dispatch of an op. */
export interface Stage {
  readonly text: string;
  readonly settings: Settings;
  readonly bound: Readonly<Record<string, Bound>>;
  readonly uniforms: Readonly<Record<string, number>>;
  readonly floats?: Readonly<Record<string, number>>;
  readonly grid: readonly [number, number, number];
  /** Roughly the floating-point operations plus bytes moved, for {@link Pace}. */
  readonly work: number;
  /** For kernels that may run long: the uniform that workgroups add to their y, so that the grid can be cut along y. */
  readonly cut?: string;
}

export type Full<N extends OpName> = Required<Spec<N>>;

/** The kernel of one op. */
export interface OpKernel<N extends OpName> {
  /** Operands whose loads are wider if they start at a multiple of 16 bytes. */
  readonly wide?: readonly string[];
  /** Describes the dispatches of the op. `wide`: whether all of those operands do. */
  stages(spec: Full<N>, traits: Traits, wide: boolean): readonly Stage[];
}

/** Binds the operands that the spec of `op` uses, by their element types. */
export function bind<N extends OpName>(
  op: N,
  spec: Full<N>,
  types: Readonly<Record<string, string>>,
): Record<string, Bound> {
  const loose = spec as unknown as Readonly<Record<string, number>> & Readonly<Record<string, DType>>;
  const bound: Record<string, Bound> = {};
  for (const [name, rule] of Object.entries<OperandRule>(catalogue[op].operands)) {
    const type = types[name];
    if (type === undefined || !operandIsUsed(rule.when, loose)) continue;
    bound[name] = {
      type,
      written: rule.access !== "read",
      operand: name,
      offset: 0,
      bytes: operandBytes(rule, loose, loose),
    };
  }
  return bound;
}

/** Scratch memory of the backend, for the results that a stage leaves to the next stage of the same op. */
export const scratch = (type: string, bytes: number): Bound => ({ type, written: true, operand: "", offset: 0, bytes });

/** Default number of threads of a workgroup. */
export const threads = 256;
const widest = 65535;

/** Workgroups in rows of at most 65535; see lib/grid.wgsl. */
export const groupsOf = (groups: number): [number, number, number] => [
  Math.min(groups, widest),
  Math.ceil(groups / widest),
  1,
];
/** Workgroups with one thread for each of `items`. */
export const flat = (items: number): [number, number, number] => groupsOf(Math.ceil(items / threads));
/** `groups` workgroups along x for each head along y and z. */
export const headGrid = (groups: number, heads: number): [number, number, number] => [
  groups,
  Math.min(heads, widest),
  Math.ceil(heads / widest),
];
