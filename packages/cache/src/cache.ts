import type { Policy } from "@ziggurat/policy";
import type { Backend, RowDType, Slice } from "@ziggurat/tensor";
import { Arena } from "./arena.js";
import { Buffers } from "./buffers.js";
import type { TurnPlan } from "./plan.js";
import { Pool } from "./pool.js";
import { Progress } from "./progress.js";
import { CacheError, type CacheShape, planesOf, type RopeOf } from "./shape.js";
import { Tables } from "./tables.js";

export interface CacheOptions {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  /**
   * One policy a sequence. Sequences that share a policy object must be neighbours, those with slot positions last. See
   * {@link groupOrder}.
   */
  readonly policies: readonly Policy[];
  /** The rotation tables; asked when work is prepared. May be replaced between turns. */
  readonly rope: RopeOf;
}

/** What a cache must know of a turn's plan. */
export type CachePlan = Pick<TurnPlan, "capacity" | "held">;

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

/**
 * The KV cache of one or many sequences: who holds how many rows where. Prefill fills it, decode steps append to it and
 * evict from it.
 */
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
  readonly #buffers: Buffers;
  readonly #arenas: (Arena | undefined)[];

  /**
   * Throws a `PolicyError` for what is no policy, a `CacheError` for policies out of order; nothing is allocated then.
   */
  constructor({ backend, shape, dtype, policies, rope }: CacheOptions) {
    this.progress = policies.map((policy) => new Progress(shape, policy));
    const wanted = groupOrder(policies);
    if (wanted.some((from, to) => from !== to)) {
      throw new CacheError(
        "sequences that share a policy must be neighbours, those with slot positions last; sort them by groupOrder",
      );
    }
    this.backend = backend;
    this.shape = shape;
    this.dtype = dtype;
    this.rope = rope;
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
    this.#buffers = new Buffers(backend);
    this.tables = new Tables(backend, this.#buffers, shape.layers.length, policies.length, shape.kvHeads, "tables");
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

  #arenaFor(layer: number, plans: readonly CachePlan[]): Arena {
    const capacity = plans.flatMap((plan) => plan.capacity[layer]!);
    const held = plans.flatMap((plan) => plan.held[layer]!);
    return new Arena(this.backend, {
      capacity,
      held,
      headSize: this.shape.headSize,
      planes: this.planes,
      dtype: this.dtype,
    });
  }

  /**
   * Makes a layer's regions as large as the plans say, unless they are already. What the old regions held is lost:
   * whoever calls this has it in the scratch.
   */
  resize(layer: number, plans: readonly CachePlan[]): Arena {
    const old = this.#arenas[layer];
    if (old?.fits(plans, layer)) return old;
    this.#arenas[layer] = undefined;
    old?.free();
    const arena = this.#arenaFor(layer, plans);
    this.#arenas[layer] = arena;
    this.tables.write(this.tables.offset(layer), arena.offsets);
    return arena;
  }

  /**
   * Takes over another cache's rows, in regions as large as the plans say. The policies must need the same cells beside
   * K and V.
   */
  async copyFrom(source: Cache, plans: readonly CachePlan[]): Promise<void> {
    const { planes, ranks, sequences } = this;
    if (source.planes !== planes || source.ranks !== ranks || source.sequences !== sequences) {
      throw new CacheError(
        `rows with ${source.planes} cells cannot be copied to rows with ${planes}; the policies must count positions and columns alike`,
      );
    }
    const pool = new Pool(this.backend, "workspace");
    try {
      for (const layer of this.shape.layers.keys()) {
        const to = this.resize(layer, plans);
        await source.#move(layer, to, this.tables.offset(layer), this.tables.length(layer), pool);
      }
    } finally {
      pool.dispose();
    }
    this.progress.forEach((progress, sequence) => {
      progress.assign(source.progress[sequence]!);
      this.tables.write(this.tables.seen(sequence), new Array<number>(this.shape.kvHeads).fill(progress.seen));
    });
  }

  /**
   * Moves every layer's rows to regions as large as the plans say, one layer after the other, so that only one is there
   * twice.
   */
  async grow(plans: readonly CachePlan[]): Promise<void> {
    const { tables } = this;
    const pool = new Pool(this.backend, "workspace");
    try {
      for (const layer of this.shape.layers.keys()) {
        const old = this.arena(layer);
        if (old.fits(plans, layer)) continue;
        const arena = this.#arenaFor(layer, plans);
        try {
          const offset = { buffer: pool.allocate(4 * arena.offsets.length), offset: 0 };
          tables.write(offset, arena.offsets);
          await this.#move(layer, arena, offset, tables.length(layer), pool);
          pool.free(offset.buffer);
        } catch (error) {
          arena.free();
          throw error;
        }
        this.#arenas[layer] = arena;
        old.free();
        tables.write(tables.offset(layer), arena.offsets);
      }
    } finally {
      pool.dispose();
    }
  }

  /**
   * Copies a layer's rows, in the order of the text, to another arena, whose heads start at `offset`; `length` is told
   * their numbers.
   */
  async #move(layer: number, to: Arena, toOffset: Slice, toLength: Slice, pool: Pool): Promise<void> {
    const { backend, shape, planes, ranks, sequences, dtype: kv, tables } = this;
    const from = this.arena(layer);
    const heads = sequences * shape.kvHeads;
    const most = this.progress.reduce((max, { rows }) => Math.max(max, ...rows[layer]!), 1);
    const rows = { buffer: pool.allocate(4 * heads * most), offset: 0 };
    const count = { buffer: pool.allocate(4 * heads), offset: 0 };
    const offset = tables.offset(layer);
    const order = await backend.prepare("order", { heads, capacity: most, arenaRows: from.rows });
    const sizes = { heads, most, headSize: shape.headSize, arenaRows: from.rows, targetRows: to.rows, planes };
    const gather = await backend.prepare("gather", { ...sizes, kv, values: true, ranks });
    backend.dispatch(order, { positions: from.plane(0), offset, length: tables.length(layer), rows, count });
    backend.dispatch(gather, {
      ...{ keys: from.keys, values: from.values, cells: from.cells, offset, rows, count },
      ...{
        targetKeys: to.keys,
        targetValues: to.values,
        targetCells: to.cells,
        targetOffset: toOffset,
        targetLength: toLength,
      },
    });
    pool.free(rows.buffer);
    pool.free(count.buffer);
  }

  /** Bytes of each layer's arena, room included. */
  get arenaBytes(): number[] {
    return this.#arenas.map((arena) => arena?.bytes ?? 0);
  }

  /** Bytes in device memory: arenas and tables. */
  get bytes(): number {
    return this.arenaBytes.reduce((a, b) => a + b, this.#buffers.bytes);
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
        const lengths = new Int32Array(
          (await this.backend.read(this.tables.length(layer, sequence), 4 * kvHeads)).buffer,
        );
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
    this.#buffers.free();
  }
}
