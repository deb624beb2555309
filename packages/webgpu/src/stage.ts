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

/** What kernels are chosen by: found out once for a device. */
export interface Traits {
  /** Lanes of a subgroup where their number and order are certain, else 0. */
  readonly subgroup: number;
  /** Whether shaders compute in 16-bit floats. */
  readonly half: boolean;
  /** Whether a subgroup of 32 multiplies matrices of 16 x 16 numbers in f16, summed in f32. */
  readonly matrix: boolean;
  /** Whether there are dot products of four bytes at a time. */
  readonly dots: boolean;
  /** Bytes of memory that a workgroup may share. */
  readonly workgroupBytes: number;
  /** Bytes of one binding at most. */
  readonly bindingBytes: number;
  /** Whether the device is emulated. */
  readonly software: boolean;
}

/** An operand, or a plane of one, as a kernel sees it. */
export interface Bound {
  /** WGSL type of one element. */
  readonly type: string;
  readonly written: boolean;
  /** The operand that it lies in; "" for the backend's scratch memory. */
  readonly operand: string;
  /** Bytes from the operand's start. */
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
  /** Floating-point operations and bytes moved, roughly: what pacing counts. */
  readonly work: number;
  /** The uniform to which workgroups add their y, for kernels that may run long: the grid may be cut along y then. */
  readonly cut?: string;
}

export type Full<N extends OpName> = Required<Spec<N>>;

/** How one op runs here. */
export interface OpKernel<N extends OpName> {
  /** Operands whose loads are wider where they start at a multiple of 16 bytes. */
  readonly wide?: readonly string[];
  /** `wide`: whether those operands all do. */
  stages(spec: Full<N>, traits: Traits, wide: boolean): readonly Stage[];
}

/** The operands of `op` that its spec calls for, bound by their element types. */
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

/** Scratch memory of the backend: what a stage leaves there, the next stage of the same op finds. */
export const scratch = (type: string, bytes: number): Bound => ({ type, written: true, operand: "", offset: 0, bytes });

/** Threads of a workgroup where nothing asks for another number. */
export const threads = 256;
const widest = 65535;

/** Workgroups in rows of at most 65535; see lib/grid.wgsl. */
export const groupsOf = (groups: number): [number, number, number] => [
  Math.min(groups, widest),
  Math.ceil(groups / widest),
  1,
];
/** One thread for each of `items`. */
export const flat = (items: number): [number, number, number] => groupsOf(Math.ceil(items / threads));
/** `groups` workgroups along x for each head along y and z. */
export const headGrid = (groups: number, heads: number): [number, number, number] => [
  groups,
  Math.min(heads, widest),
  Math.ceil(heads / widest),
];
