// Written by `npm run api`. Do not edit.

// @ziggurat/cache

export class Account {
  readonly shape: CacheShape;
  readonly policy: Policy;
  readonly seen: number;
  readonly evicted: number;
  readonly chosenAt: number;
  readonly digest: number;
  static empty(shape: CacheShape, given: Policy): Account;
  rowsOf(layer: number): number[];
  get rows(): number[][];
  get total(): number;
  get most(): number;
  get since(): number[];
  feed(
    tokens: number,
    phase: "prefill" | "decode",
  ): {
    readonly account: Account;
    readonly keep: Keep;
  };
}

export class Cache {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  readonly order: readonly number[];
  readonly groups: readonly Group[];
  readonly tables: Tables;
  readonly planes: number;
  readonly ranks: boolean;
  readonly firstColumn: number;
  constructor({ backend, shape, dtype, policies: given }: CacheOptions);
  get sequences(): number;
  placeOf(sequence: number): number;
  account(sequence: number): Account;
  rows(sequence: number): number[][];
  feed(sequences: readonly number[]): Keep[];
  follow(sequence: number, tokens: number, phase: "prefill" | "decode"): ReturnType<Account["feed"]>;
  commit(sequence: number, account: Account): void;
  setKeep(keeps: readonly Keep[]): void;
  end(sequence: number, account: Account): void;
  resume(sequence: number): void;
  get ended(): Slice;
  get proof(): Slice;
  arena(layer: number): Arena;
  reserve(rows: readonly ReservedRows[]): void;
  reservedArena(layer: number): Arena;
  copyFrom(source: Cache): Promise<void>;
  grow(): Promise<void>;
  get arenaBytes(): number[];
  get bytes(): number;
  get room(): number;
  kept(sequence: number): Promise<number[][][]>;
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

export type CacheLayer =
  | {
      readonly kind: "global";
    }
  | {
      readonly kind: "sliding";
      readonly window: number;
    };

export interface CacheOptions {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  readonly policies: readonly Policy[];
}

export interface CacheShape {
  readonly layers: readonly CacheLayer[];
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly scale: number;
  readonly softcap: number;
}

export class DecodeStep {
  static prepare(cache: Cache, options: DecodeStepOptions): Promise<DecodeStep>;
  attend(layer: number): void;
  end(): void;
  free(): void;
}

export interface DecodeStepOptions {
  readonly pattern: StepPattern;
  readonly qkv: Slice;
  readonly out: Slice;
  readonly rope: RopeOf;
  readonly gram: GramOf;
}

export type GramOf = (layer: number) => Promise<Slice>;

export type Keep = readonly (readonly number[] | undefined)[];

export interface OwnedRopeTable extends RopeTable {
  free(): void;
}

export interface PlannedSequence {
  readonly policy: Policy;
  readonly plan: ReservedRows;
}

export class Prefill {
  readonly tiles: readonly Tile[];
  static prepare(
    targets: readonly [Target, ...Target[]],
    tokens: number,
    tile: number,
    tables: PrefillTables,
  ): Promise<Prefill>;
  begin(layer: number): Promise<void>;
  attend(layer: number, { first, tokens }: Tile, qkv: Slice, out: Slice): void;
  finish(layer: number, target: number): Promise<void>;
  commit(): void;
  get bytes(): number;
  free(): void;
}

export interface ReservedRows {
  readonly capacity: readonly (readonly number[])[];
  readonly held: readonly (readonly number[])[];
  readonly digests?: Int32Array;
}

export type RopeOf = (layer: number) => RopeTable | undefined;

export interface RopeTable {
  readonly slice: Slice;
  readonly rows: number;
  readonly rotary: number;
}

export interface Target {
  readonly cache: Cache;
  readonly sequence: number;
}

export interface Tile {
  readonly first: number;
  readonly tokens: number;
}

export interface TurnPlan extends ReservedRows {
  readonly messageRows: readonly number[];
  readonly scratchRows: number;
  readonly positions: number;
  readonly evicted: number;
}

export interface ViewFacts extends Pick<LayerView, "layer" | "layerCount" | "kvHeads" | "queryHeads" | "headSize"> {
  readonly sequences: number;
  readonly rows: number;
  readonly queries: number;
}

export function cacheBytes(shape: CacheShape, dtype: RowDType, sequences: readonly PlannedSequence[]): CacheBytes;

export const columnInput: (name: string) => string;

export function peakBytes(
  shape: CacheShape,
  dtype: RowDType,
  sequences: readonly {
    readonly policy: Policy;
    readonly plan: ReservedRows & Pick<TurnPlan, "messageRows">;
  }[],
  before?: readonly number[],
): number;

export function planSteps(
  start: Account,
  messages: readonly number[],
  steps: number,
): Generator<undefined, TurnPlan, undefined>;

export function planTurn(start: Account, messages: readonly number[], steps: number): TurnPlan;

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

export function stepPattern(cache: Cache, keeps: readonly Keep[]): StepPattern;

export const tableBytes: (shape: CacheShape, sequences: number) => number;

export const viewOf: <C extends string>(facts: ViewFacts, columns: readonly C[]) => LayerView<C>;
