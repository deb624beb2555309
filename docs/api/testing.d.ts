// Written by `npm run api`. Do not edit.

// @ziggurat/testing

export interface AllcloseOptions {
  readonly tolerance?: number;
}

export interface BackendSuite extends Variant {
  readonly variants?: readonly Variant[];
  readonly seed?: number;
  readonly aligned?: boolean;
}

export interface Case {
  readonly op: OpName;
  readonly name: string;
  readonly spec: Readonly<Record<string, number | string | boolean | undefined>>;
  readonly inputs: (random: Random) => Readonly<Record<string, ArrayLike<number> | undefined>>;
  readonly alias: Readonly<Record<string, string | undefined>>;
  readonly magnitude?: (inputs: Readonly<Record<string, ArrayLike<number> | undefined>>, index: number) => number;
}

export class ConformanceError extends Error {
  readonly name = "ConformanceError";
}

export interface PolicyOutcome {
  readonly kept: readonly (readonly (readonly number[])[])[];
  readonly outputs: readonly Float32Array[];
}

export interface PolicyTurn {
  readonly layers?: readonly RawLayer[];
  readonly steps?: readonly (readonly RawLayer[])[];
}

export interface PolicyTurnResult {
  readonly prefill: PolicyOutcome | undefined;
  readonly steps: readonly PolicyOutcome[];
}

export interface RawLayer {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

export class ReadRefusedError extends Error {
  readonly name = "ReadRefusedError";
}

export interface RunPolicyOptions {
  readonly policy: Policy;
  readonly backend: Backend;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly layers: readonly RawLayer[];
  readonly steps?: readonly (readonly RawLayer[])[];
  readonly turns?: readonly PolicyTurn[];
  readonly fork?: boolean;
  readonly ropeTheta?: number;
  readonly output?: readonly Float32Array[];
  readonly dtype?: RowDType;
  readonly tile?: number;
  readonly replay?: boolean;
}

export interface RunPolicyResult {
  readonly prefill: PolicyOutcome;
  readonly steps: readonly PolicyOutcome[];
  readonly turns: readonly PolicyTurnResult[];
}

export interface ScorerRows {
  readonly layer?: number;
  readonly queryHeads?: number;
  readonly headSize?: number;
  readonly positions: readonly (readonly number[])[];
  readonly newest?: number;
  readonly mass?: readonly (readonly number[])[];
  readonly observed?: readonly (readonly (readonly number[])[])[];
  readonly columns?: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly keys?: readonly (readonly number[])[];
  readonly values?: readonly (readonly number[])[];
  readonly output?: Float32Array;
}

export interface TestPolicyOptions {
  readonly backends?: readonly {
    readonly name: string;
    create(): Promise<Backend>;
  }[];
  readonly evicts?: boolean;
  readonly tokens?: number;
  readonly seed?: number;
}

export interface Variant {
  readonly name: string;
  readonly create: () => Promise<Backend>;
  readonly ops?: readonly OpName[];
}

export const cases: readonly Case[];

export function evaluateScorer<C extends string = never>(
  build: (view: LayerView<C>) => readonly Tensor[],
  given: ScorerRows,
): Promise<number[][][]>;

export function nullBackend(): Backend;

export function runCase(backend: Backend, test: Case, seed: number, aligned?: boolean): Promise<void>;

export function runPolicy(options: RunPolicyOptions): Promise<RunPolicyResult>;

export function testBackend({ name, create, variants, seed, aligned }: BackendSuite): void;

export function testContract(create: () => Promise<Backend>): void;

export function testPolicy(policy: Policy, { backends, evicts, tokens, seed }?: TestPolicyOptions): void;

export function toBeAllclose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { tolerance }?: AllcloseOptions,
): Result;

// @ziggurat/testing/cases

export interface Case {
  readonly op: OpName;
  readonly name: string;
  readonly spec: Readonly<Record<string, number | string | boolean | undefined>>;
  readonly inputs: (random: Random) => Readonly<Record<string, ArrayLike<number> | undefined>>;
  readonly alias: Readonly<Record<string, string | undefined>>;
  readonly magnitude?: (inputs: Readonly<Record<string, ArrayLike<number> | undefined>>, index: number) => number;
}

export class ConformanceError extends Error {
  readonly name = "ConformanceError";
}

export const cases: readonly Case[];

export function dequantised(
  bytes: Uint8Array,
  dtype: "q8_0" | "q4_0" | "q4_1",
  out: number,
  width: number,
): Float64Array;

export function randomFrom(seed: number): Random;

export function runCase(backend: Backend, test: Case, seed: number, aligned?: boolean): Promise<void>;

export function weights(random: Random, dtype: WeightDType, out: number, width: number): ArrayLike<number>;
