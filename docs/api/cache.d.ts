// Written by `npm run api`. Do not edit.

// @ziggurat/cache

export class Arena {
  readonly rows: number;
  readonly offsets: readonly number[];
  readonly capacity: readonly number[];
  readonly held: readonly number[];
  readonly keys: Slice;
  readonly values: Slice;
  readonly cells: Slice;
  readonly room: number;
  constructor(backend: Backend, { capacity, held, headSize, planes, dtype }: ArenaSize);
  fits(
    plans: readonly {
      readonly capacity: readonly (readonly number[])[];
      readonly held: readonly (readonly number[])[];
    }[],
    layer: number,
  ): boolean;
  plane(index: number): Slice;
  get bytes(): number;
  free(): void;
}

export class Buffers {
  constructor(backend: Backend);
  allocate(bytes: number, label: string | Readonly<Record<string, number>>): Slice;
  get bytes(): number;
  free(): void;
}

export class Cache {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  rope: RopeOf;
  readonly groups: readonly Group[];
  readonly progress: readonly Progress[];
  readonly tables: Tables;
  readonly planes: number;
  readonly ranks: boolean;
  readonly firstColumn: number;
  constructor({ backend, shape, dtype, policies, rope }: CacheOptions);
  get sequences(): number;
  arena(layer: number): Arena;
  resize(layer: number, plans: readonly CachePlan[]): Arena;
  copyFrom(source: Cache, plans: readonly CachePlan[]): Promise<void>;
  grow(plans: readonly CachePlan[]): Promise<void>;
  get arenaBytes(): number[];
  get bytes(): number;
  get room(): number;
  kept(sequence?: number): Promise<number[][][]>;
  free(): void;
}

export interface CacheBytes {
  readonly cache: number;
  readonly room: number;
  readonly tables: number;
}

export class CacheError extends Error {
  readonly name = "CacheError";
}

export interface CacheLayer extends LayerShape {
  readonly window?: number;
}

export interface CacheOptions {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  readonly policies: readonly Policy[];
  readonly rope: RopeOf;
}

export type CachePlan = Pick<TurnPlan, "capacity" | "held">;

export interface CacheShape {
  readonly layers: readonly CacheLayer[];
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly scale: number;
  readonly softcap: number;
}

export class DecodeStep {
  static prepare(cache: Cache, options: DecodeOptions): Promise<DecodeStep>;
  attend(layer: number): void;
  end(): void;
  static setKeep(cache: Cache, firings: readonly Firings[]): void;
  free(): void;
}

export type Firings = readonly (readonly number[] | undefined)[];

export interface Group {
  readonly policy: Policy;
  readonly first: number;
  readonly count: number;
}

export interface OwnedRopeTable extends RopeTable {
  free(): void;
}

export interface PlannedSequence {
  readonly policy: Policy;
  readonly plan: Pick<TurnPlan, "capacity" | "held">;
}

export class Prefill {
  constructor(targets: readonly [Target, ...Target[]], tokens: number, tile: number);
  prepare(tile: number): Promise<void>;
  begin(layer: number): Promise<void>;
  attend(layer: number, first: number, tokens: number, qkv: Slice, out: Slice): void;
  finish(layer: number, clock?: (target: number, seconds: number) => void): Promise<void>;
  commit(): readonly Firings[];
  get bytes(): number;
  free(): void;
}

export class Progress {
  readonly shape: CacheShape;
  readonly policy: Policy;
  seen: number;
  readonly rows: number[][];
  readonly since: number[];
  evicted: number;
  chosenAt: number;
  constructor(shape: CacheShape, policy: Policy);
  clone(): Progress;
  assign(from: Progress): void;
  get total(): number;
  get most(): number;
  feed(tokens: number, phase: "prefill" | "decode"): Firings;
}

export type RopeOf = (layer: number) => RopeTable | undefined;

export interface RopeTable {
  readonly slice: Slice;
  readonly rows: number;
  readonly rotary: number;
}

export interface ScratchTarget {
  readonly planes: number;
  readonly slot: boolean;
}

export class Tables {
  readonly sequences: number;
  readonly kvHeads: number;
  constructor(backend: Backend, buffers: Buffers, layers: number, sequences: number, kvHeads: number, label: string);
  offset(layer: number, sequence?: number): Slice;
  length(layer: number, sequence?: number): Slice;
  keep(layer: number, sequence?: number): Slice;
  seen(sequence?: number): Slice;
  ended(sequence?: number): Slice;
  write(slice: Slice, values: readonly number[]): void;
}

export interface Target {
  readonly cache: Cache;
  readonly sequence: number;
  readonly plans: readonly CachePlan[];
}

export interface TurnPlan {
  readonly capacity: readonly (readonly number[])[];
  readonly held: readonly (readonly number[])[];
  readonly messageRows: readonly number[];
  readonly scratchRows: number;
  readonly positions: number;
  readonly evicted: number;
}

export function cacheBytes(shape: CacheShape, dtype: RowDType, sequences: readonly PlannedSequence[]): CacheBytes;

export function firingPattern(cache: Cache, firings: readonly Firings[]): FiringPattern;

export function groupOrder(policies: readonly Policy[]): number[];

export function peakBytes(
  shape: CacheShape,
  dtype: RowDType,
  sequences: readonly {
    readonly policy: Policy;
    readonly plan: Pick<TurnPlan, "capacity" | "held" | "messageRows">;
  }[],
  before?: readonly number[],
): number;

export function planTurn(start: Progress, messages: readonly number[], maxTokens: number): TurnPlan;

export function planesOf(policies: readonly Policy[]): {
  readonly ranks: boolean;
  readonly planes: number;
  readonly firstColumn: number;
};

export function ropeTable(backend: Backend, frequencies: Float32Array, rows: number, factor?: number): OwnedRopeTable;

export function rotaryFrequencies(theta: number, rotary: number): Float32Array;

export const rowBytes: (headSize: number, dtype: RowDType, planes: number) => number;

export function scratchBytes(
  shape: CacheShape,
  dtype: RowDType,
  rows: number,
  targets: readonly ScratchTarget[],
): number;

export const tableBytes: (shape: CacheShape, sequences: number) => number;
