import type { Policy } from "@ziggurat/policy";
import type { Backend, RowDType } from "@ziggurat/tensor";
import { Arena } from "./arena.js";
import type { TurnPlan } from "./plan.js";
import { Pool } from "./pool.js";
import { Progress } from "./progress.js";
import { CacheError, type CacheShape, planesOf, type RopeOf } from "./shape.js";
import { Tables } from "./tables.js";

export interface CacheOptions {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  /** One policy a sequence. Sequences that share a policy object must be neighbours, those with slot positions last. See {@link groupOrder}. */
  readonly policies: readonly Policy[];
  /** The rotation tables; asked when work is prepared. May be replaced between turns. */
  readonly rope: RopeOf;
}

/** Sequences that share a policy object, seen in one call. */
export interface Group {
  readonly policy: Policy;
  readonly first: number;
  readonly count: number;
}

/** The order in which a cache wants its sequences: by position mode, then by policy object; stable. */
export function groupOrder(policies: readonly Policy[]): number[] {
  const distinct = [...new Set(policies)];
  const key = (policy: Policy) => (policy.positions === "slot" ? distinct.length : 0) + distinct.indexOf(policy);
  return policies.map((_, index) => index).sort((a, b) => key(policies[a]!) - key(policies[b]!) || a - b);
}

/** The KV cache of one or many sequences: who holds how many rows where. Prefill fills it, decode steps append to it and evict from it. */
export class Cache {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  rope: RopeOf;
  readonly groups: readonly Group[];
  /** Rows held by each sequence, as the host knows them. */
  readonly progress: readonly Progress[];
  readonly tables: Tables;
  readonly planes: number;
  readonly ranks: boolean;
  readonly firstColumn: number;
  readonly #arenas: (Arena | undefined)[];

  constructor({ backend, shape, dtype, policies, rope }: CacheOptions) {
    const wanted = groupOrder(policies);
    if (wanted.some((from, to) => from !== to)) {
      throw new CacheError("sequences that share a policy must be neighbours, those with slot positions last; sort them by groupOrder");
    }
    this.backend = backend;
    this.shape = shape;
    this.dtype = dtype;
    this.rope = rope;
    this.progress = policies.map((policy) => new Progress(shape, policy));
    const groups: { policy: Policy; first: number; count: number }[] = [];
    policies.forEach((policy, first) => {
      if (groups.at(-1)?.policy === policy) groups.at(-1)!.count++;
      else groups.push({ policy, first, count: 1 });
    });
    this.groups = groups;
    const { planes, ranks, firstColumn } = planesOf(policies);
    this.planes = planes;
    this.ranks = ranks;
    this.firstColumn = firstColumn;
    this.tables = new Tables(backend, shape.layers.length, policies.length, shape.kvHeads, "tables");
    this.#arenas = shape.layers.map(() => undefined);
  }

  get sequences(): number {
    return this.progress.length;
  }

  arena(layer: number): Arena {
    const arena = this.#arenas[layer];
    if (!arena) throw new CacheError(`layer ${layer} holds no rows yet; a prompt must be read first`);
    return arena;
  }

  /**
   * Makes a layer's regions as large as the plans say, unless they are already. What the old regions held is lost: whoever calls this has it in the scratch.
   */
  resize(layer: number, plans: readonly Pick<TurnPlan, "capacity" | "held">[]): Arena {
    const capacity = plans.flatMap((plan) => plan.capacity[layer]!);
    const old = this.#arenas[layer];
    if (old?.capacity.every((rows, head) => rows === capacity[head])) return old;
    old?.free();
    const held = plans.flatMap((plan) => plan.held[layer]!);
    const arena = new Arena(this.backend, { capacity, held, headSize: this.shape.headSize, planes: this.planes, dtype: this.dtype });
    this.#arenas[layer] = arena;
    this.tables.write(this.tables.offset(layer), arena.offsets);
    return arena;
  }

  /** Takes over another cache's rows, in regions as large as the plans say. The policies must need the same cells beside K and V. */
  async copyFrom(source: Cache, plans: readonly Pick<TurnPlan, "capacity" | "held">[]): Promise<void> {
    const { backend, shape, planes, ranks, sequences, dtype: kv } = this;
    if (source.planes !== planes || source.ranks !== ranks || source.sequences !== sequences) {
      throw new CacheError(
        `rows with ${source.planes} cells cannot be copied to rows with ${planes}; the policies must count positions and columns alike`,
      );
    }
    const heads = sequences * shape.kvHeads;
    const pool = new Pool(backend, "workspace");
    try {
      for (const layer of shape.layers.keys()) {
        const from = source.arena(layer);
        const to = this.resize(layer, plans);
        const most = Math.max(1, ...source.progress.flatMap(({ rows }) => rows[layer]!));
        const rows = { buffer: pool.allocate(4 * heads * most), offset: 0 };
        const count = { buffer: pool.allocate(4 * heads), offset: 0 };
        const offset = source.tables.offset(layer);
        const order = await backend.prepare("order", { heads, capacity: most, arenaRows: from.rows });
        backend.dispatch(order, { positions: from.plane(0), offset, length: source.tables.length(layer), rows, count });
        const sizes = { heads, most, headSize: shape.headSize, arenaRows: from.rows, targetRows: to.rows, planes };
        const gather = await backend.prepare("gather", { ...sizes, kv, values: true, ranks });
        backend.dispatch(gather, {
          ...{ keys: from.keys, values: from.values, cells: from.cells, offset, rows, count },
          ...{ targetKeys: to.keys, targetValues: to.values, targetCells: to.cells },
          ...{ targetOffset: this.tables.offset(layer), targetLength: this.tables.length(layer) },
        });
        pool.free(rows.buffer);
        pool.free(count.buffer);
      }
    } finally {
      pool.dispose();
    }
    this.progress.forEach((progress, sequence) => {
      progress.assign(source.progress[sequence]!);
      this.tables.write(this.tables.seen(sequence), new Array<number>(shape.kvHeads).fill(progress.seen));
    });
  }

  /** Bytes in device memory: arenas and tables. */
  get bytes(): number {
    return this.#arenas.reduce((sum, arena) => sum + (arena?.bytes ?? 0), this.tables.bytes);
  }

  /** Bytes of `bytes` that wait for tokens to come. */
  get room(): number {
    return this.#arenas.reduce((sum, arena) => sum + (arena?.room ?? 0), 0);
  }

  /** Positions in the text of the rows that a sequence holds, ascending, [layer][KV head]. Reads from the device. */
  async kept(sequence = 0): Promise<number[][][]> {
    const { kvHeads } = this.shape;
    return Promise.all(
      this.shape.layers.map(async (_, layer) => {
        const arena = this.arena(layer);
        const lengths = new Int32Array((await this.backend.read(this.tables.length(layer, sequence), 4 * kvHeads)).buffer);
        const heads = Array.from({ length: kvHeads }, async (_, head) => {
          const rows = lengths[head]!;
          if (rows === 0) return [];
          const from = arena.offsets[sequence * kvHeads + head]!;
          const plane = arena.plane(0);
          const bytes = await this.backend.read({ buffer: plane.buffer, offset: plane.offset + 4 * from }, 4 * rows);
          return [...new Int32Array(bytes.buffer)].sort((a, b) => a - b);
        });
        return Promise.all(heads);
      }),
    );
  }

  free(): void {
    for (const arena of this.#arenas.splice(0)) arena?.free();
    this.tables.free();
  }
}
