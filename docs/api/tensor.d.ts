// Written by `npm run api`. Do not edit.

// @ziggurat/tensor

export type Axis = "rows" | "size" | "queries";

export interface Backend {
  readonly info: BackendInfo;
  allocate(bytes: number, label: string | Readonly<Record<string, number>>): Buffer;
  free(buffer: Buffer): void;
  write(target: Slice, data: ArrayBufferView): void;
  read(source: Slice, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  prepare<N extends OpName>(op: N, spec: Spec<N>): Promise<Kernel<N>>;
  dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>): void;
  record(body: () => void): Program;
  replay(program: Program): void;
  release(program: Program): void;
  synchronise(): Promise<void>;
  memory(): MemoryReport;
  resetPeak(): void;
  dispose(): Promise<void>;
}

export interface BackendInfo {
  readonly name: string;
  readonly device: string;
  readonly features: Readonly<Record<string, string | number | boolean>>;
  readonly prefillTokens: number;
  readonly maxBytes: number;
}

export interface Buffer {
  readonly bytes: number;
}

export class BufferError extends Error {
  readonly name = "BufferError";
}

export class BufferTable<Held> {
  get live(): number;
  get frees(): number;
  add(bytes: number, labels: Labels, held: Held): Buffer;
  uncount(buffer: Buffer): void;
  remove(what: string, buffer: Buffer): Held;
  has(buffer: Buffer): boolean;
  get(buffer: Buffer): Held | undefined;
  find(what: string, buffer: Buffer): Held;
  range(what: string, slice: Slice, bytes: number): Held;
  operand(kernel: Kernel, operands: object, name: string, bytes: number): Held;
  checkHeld(op: OpName, operands: object): void;
  checkOpen(what: string): void;
  report(reserved: number): MemoryReport;
  resetPeak(): void;
  dispose(): void;
}

export class Buffers {
  constructor(backend: Backend);
  allocate(bytes: number, label: string | Readonly<Record<string, number>>): Slice;
  get bytes(): number;
  free(): void;
}

export type DType = "f32" | "f16" | "bf16" | "i32" | "q8_0" | "q4_0" | "q4_1";

export interface Dispatch {
  readonly kernel: Kernel;
  readonly operands: Readonly<Record<string, Slice | undefined>>;
}

export type Fusion = keyof typeof patterns | "advances";

export interface Group<D extends Dispatch> {
  readonly fusion: Fusion | undefined;
  readonly dispatches: readonly D[];
}

export interface Kernel<N extends OpName = OpName> {
  readonly op: N;
  readonly spec: Spec<N>;
}

export interface LabelBytes {
  readonly live: number;
  readonly peak: number;
}

export interface MemoryReport {
  readonly live: number;
  readonly reserved: number;
  readonly peak: number;
  readonly labels: Readonly<Record<string, LabelBytes>>;
}

export class OpError extends Error {
  readonly name = "OpError";
}

export type OpName = keyof Catalogue;

export interface OpRule {
  readonly meaning: string;
  readonly dims: readonly string[];
  readonly options?: readonly string[];
  readonly dtypes: Readonly<Record<string, readonly DType[]>>;
  readonly attributes: Readonly<Record<string, AttributeRule>>;
  readonly operands: Readonly<Record<string, OperandRule>>;
  readonly requires?: readonly Requirement[];
  readonly tolerance: Readonly<Partial<Record<DType, number>>>;
}

export interface OperandRule {
  readonly access: Access;
  readonly dtype: string;
  readonly shape: (dims: Numbers) => readonly number[];
  readonly when?: string;
}

export type Operands<N extends OpName> = OperandsOf<Catalogue[N]>;

export class OutOfMemoryError extends Error {
  readonly name = "OutOfMemoryError";
}

export interface Program {
  readonly dispatches: number;
}

export class ProgramTable<Recorded, Recording> {
  constructor(buffers: BufferTable<unknown>);
  get recording(): Recording | undefined;
  get size(): number;
  checkIdle(what: string): void;
  record(recording: Recording, body: () => void): void;
  add(dispatches: number, buffers: ReadonlySet<Buffer>, recorded: Recorded): Program;
  replay(program: Program): Recorded;
  release(program: Program): Recorded;
  clear(): void;
}

export type Reduction = "sum" | "mean" | "max" | "min";

export interface ReferenceOptions {
  readonly maxBytes?: number;
}

export type RowDType = "f32" | "f16" | "bf16";

export class ShapeError extends Error {
  readonly name = "ShapeError";
}

export interface Slice {
  readonly buffer: Buffer;
  readonly offset: number;
}

export type Spec<N extends OpName> = SpecOf<Catalogue[N]>;

export interface Tensor {
  readonly shape: readonly number[];
  add(other: Tensor | number): Tensor;
  sub(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  div(other: Tensor | number): Tensor;
  maximum(other: Tensor | number): Tensor;
  minimum(other: Tensor | number): Tensor;
  neg(): Tensor;
  abs(): Tensor;
  exp(): Tensor;
  log(): Tensor;
  sqrt(): Tensor;
  lt(other: Tensor | number): Tensor;
  le(other: Tensor | number): Tensor;
  gt(other: Tensor | number): Tensor;
  ge(other: Tensor | number): Tensor;
  eq(other: Tensor | number): Tensor;
  and(other: Tensor): Tensor;
  or(other: Tensor): Tensor;
  not(): Tensor;
  where(yes: Tensor | number, no: Tensor | number): Tensor;
  sum(axis: Axis): Tensor;
  mean(axis: Axis): Tensor;
  max(axis: Axis): Tensor;
  min(axis: Axis): Tensor;
  norm(axis: Axis): Tensor;
  group(kind: Reduction): Tensor;
  ungroup(): Tensor;
  acrossHeads(kind: Reduction): Tensor;
  avgPool(kernel: number): Tensor;
  maxPool(kernel: number): Tensor;
  hash(seed: number): Tensor;
}

export type WeightDType = "f32" | "f16" | "bf16" | "q8_0" | "q4_0" | "q4_1";

export interface WeightLayout {
  readonly quants: 0;
  readonly scales: number;
  readonly minimums: number;
  readonly bytes: number;
}

export const blockSize = 32;

export function bytesOf(dtype: DType, shape: readonly number[]): number;

export const catalogue: {
  // load
  // store
  // unary
  // binary
  // where
  // reduce
  // pool
  // through
  // hash
  // fill
  // copy
  // topk
  // apportion
  // order
  // gather
  // evict
  // append
  // attention
  // decodeAttention
  // watch
  // observe
  // advance
  // embed
  // rmsNorm
  // linear
  // gatedActivation
  // rope
  // logProbability
  // sample
};

export function checkOperands<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>): void;

export function checkSpec<N extends OpName>(op: N, spec: Spec<N>): Required<Spec<N>>;

export const elementBytes: {
  readonly f32: 4;
  readonly i32: 4;
  readonly f16: 2;
  readonly bf16: 2;
};

export function fromBFloat16(bits: number): number;

export function fromFloat16(bits: number): number;

export function fuse<D extends Dispatch>(
  dispatches: readonly D[],
  accepts?: (fusion: keyof typeof patterns, dispatches: readonly D[]) => boolean,
): readonly Group<D>[];

export const isQuantised: (dtype: DType) => dtype is "q8_0" | "q4_0" | "q4_1";

export function joinedAdvances(dispatches: readonly Dispatch[]): Kernel<"advance">["spec"];

export function labelsOf(bytes: number, label: string | Labels): Labels;

export const opNames: readonly OpName[];

export function operandBytes(rule: OperandRule, dtypes: Readonly<Record<string, DType>>, dims: Numbers): number;

export const operandIsUsed: (when: string | undefined, spec: Loose) => boolean;

export const randomUniform: (seed: number, counter: number) => number;

export function reference({ maxBytes }?: ReferenceOptions): Backend;

export const rowDTypes: readonly ["f32", "f16", "bf16"];

export function toBFloat16(value: number): number;

export function toFloat16(value: number): number;

export const weightDTypes: readonly ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"];

export function weightLayout(dtype: "q8_0" | "q4_0" | "q4_1", out: number, width: number): WeightLayout;

// @ziggurat/tensor/expression

export interface Allocator {
  allocate(bytes: number): Buffer;
  free(buffer: Buffer): void;
}

export type Axes = readonly ["heads", ...Axis[]];

export interface Bindings {
  readonly inputs: Readonly<Record<string, Slice>>;
  readonly length: Slice;
}

export interface Compiled {
  readonly outputs: readonly Slice[];
  run(): void;
  free(): void;
}

export interface HeadCounts {
  readonly heads: number;
  readonly kvHeads: number;
  readonly group: number;
}

export class Node implements Tensor {
  readonly shape: readonly number[];
  readonly axes: Axes;
  readonly what: NodeOp;
  readonly inputs: readonly Node[];
  readonly counts: HeadCounts;
  constructor(shape: readonly number[], axes: Axes, what: NodeOp, inputs: readonly Node[], counts: HeadCounts);
  add(other: Tensor | number): Node;
  sub(other: Tensor | number): Node;
  mul(other: Tensor | number): Node;
  div(other: Tensor | number): Node;
  maximum(other: Tensor | number): Node;
  minimum(other: Tensor | number): Node;
  lt(other: Tensor | number): Node;
  le(other: Tensor | number): Node;
  gt(other: Tensor | number): Node;
  ge(other: Tensor | number): Node;
  eq(other: Tensor | number): Node;
  and(other: Tensor): Node;
  or(other: Tensor): Node;
  neg(): Node;
  abs(): Node;
  exp(): Node;
  log(): Node;
  sqrt(): Node;
  not(): Node;
  where(yes: Tensor | number, no: Tensor | number): Node;
  sum(axis: Axis): Node;
  mean(axis: Axis): Node;
  max(axis: Axis): Node;
  min(axis: Axis): Node;
  norm(axis: Axis): Node;
  group(kind: Reduction): Node;
  ungroup(): Node;
  acrossHeads(kind: Reduction): Node;
  avgPool(kernel: number): Node;
  maxPool(kernel: number): Node;
  hash(seed: number): Node;
}

export type NodeOp =
  | {
      readonly op: "input";
      readonly name: string;
    }
  | {
      readonly op: "unary";
      readonly kind: Unary;
    }
  | {
      readonly op: "binary";
      readonly kind: Binary;
      readonly value?: number;
    }
  | {
      readonly op: "where";
      readonly valueA?: number;
      readonly valueB?: number;
    }
  | {
      readonly op: "reduce";
      readonly kind: Reduction | "norm";
      readonly axis: 1 | 2;
    }
  | {
      readonly op: "group";
      readonly kind: Reduction;
    }
  | {
      readonly op: "ungroup";
    }
  | {
      readonly op: "heads";
      readonly kind: Reduction;
    }
  | {
      readonly op: "spread";
    }
  | {
      readonly op: "through";
    }
  | {
      readonly op: "pool";
      readonly kind: "avg" | "max";
      readonly kernel: number;
    }
  | {
      readonly op: "hash";
      readonly seed: number;
    };

export function asNode(tensor: Tensor): Node;

export function compile(
  backend: Backend,
  outputs: readonly Node[],
  { inputs, length }: Bindings,
  allocator: Allocator,
): Promise<Compiled>;

export function input(name: string, shape: readonly number[], counts: HeadCounts, axes?: Axes | undefined): Node;

export const inputsOf: (outputs: readonly Node[]) => ReadonlySet<string>;

export const needsTextOrder: (outputs: readonly Node[]) => boolean;

export function through(x: Node, gram: Node): Node;
