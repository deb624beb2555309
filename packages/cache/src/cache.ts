import { freezePolicies, type Policy, PolicyError } from "@ziggurat/policy";
import { type Backend, Buffers, type RowDType, type Slice } from "@ziggurat/tensor";
import { Account, type Keep } from "./account.js";
import { Arena } from "./arena.js";
import { allRows, release } from "./choice.js";
import type { ReservedRows } from "./plan.js";
import { Pool } from "./pool.js";
import { CacheError, type CacheShape, planesOf } from "./shape.js";
import { Tables } from "./tables.js";

export interface CacheOptions {
  readonly backend: Backend;
  readonly shape: CacheShape;
  /** What rows of K and V are stored in. */
  readonly dtype: RowDType;
  /** One policy a sequence, in the order of the caller's requests. Sequences may share a policy object. */
  readonly policies: readonly Policy[];
}

/** Sequences that share a policy object, seen in one call. They are neighbours in the cache. */
export interface Group {
  readonly policy: Policy;
  /** Place of the first. */
  readonly first: number;
  readonly count: number;
  /** Their numbers, in the order of their places. */
  readonly sequences: readonly number[];
}

/** More rows than any head holds: keeps everything. */
const everything = 2 ** 30;

/**
 * The KV cache of one or many sequences. Prefill fills it, decode steps append to it and evict from it.
 *
 * Each layer has an arena: one buffer of K, one of V, one of cells. An arena is cut into regions, one for each KV head
 * of each sequence. Two sequences with two KV heads:
 *
 *     sequence            0                   0                   1                   1
 *     KV head             0                   1                   0                   1
 *     region        |#########____|     |######_______|     |###########__|     |#############|
 *                   ^ offset  ^ length  ^ offset
 *
 *     #  rows held: `length` of them, in any order      _  room for tokens to come
 *     capacity      rows of a region, held and room: known when the turn is planned
 *     keep          rows that stay when the layer is compressed: the best of `length` + 1
 *
 * A row of a region is one token: headSize numbers of K, as many of V, and one 4-byte cell in each plane of cells:
 *
 *     keys    [rows][headSize]     values  [rows][headSize]
 *     cells   plane 0   i32        position in the text
 *             plane 1   i32        rank, only if a policy counts positions by slot
 *             the rest  f32        the scorer's columns, a plane each
 *
 * `offset`, `length` and `keep` are tables in device memory, since kernels read and advance them. The host knows every
 * length too, as an {@link Account} of each sequence. Inside, sequences are sorted so that those with one policy object
 * are neighbours: a sequence's `place` is its number there.
 */
export class Cache {
  readonly backend: Backend;
  readonly shape: CacheShape;
  readonly dtype: RowDType;
  /** The sequence at each place: those with one policy object side by side, those with slot positions last. */
  readonly order: readonly number[];
  readonly groups: readonly Group[];
  /** For this package: everything else asks the cache. */
  readonly tables: Tables;
  readonly planes: number;
  readonly ranks: boolean;
  readonly firstColumn: number;
  readonly #accounts: Account[];
  readonly #places: readonly number[];
  readonly #buffers: Buffers;
  readonly #arenas: (Arena | undefined)[];
  /** By sequence. */
  #reserved: readonly ReservedRows[] | undefined;
  /** Messages read and steps done since rows were reserved, by sequence. */
  readonly #fed: number[];

  /** Throws a `PolicyError` if one of `policies` is not a policy; nothing is allocated then. */
  constructor({ backend, shape, dtype, policies: given }: CacheOptions) {
    const policies = freezePolicies(given);
    this.#accounts = policies.map((policy) => Account.empty(shape, policy));
    this.backend = backend;
    this.shape = shape;
    this.dtype = dtype;
    this.order = orderOf(policies);
    this.#places = policies.map((_, sequence) => this.order.indexOf(sequence));
    this.groups = groupsOf(policies, this.order);
    const { planes, ranks, firstColumn } = planesOf(policies);
    this.planes = planes;
    this.ranks = ranks;
    this.firstColumn = firstColumn;
    this.#buffers = new Buffers(backend);
    this.tables = new Tables(backend, this.#buffers, shape.layers.length, policies.length, shape.kvHeads, "tables");
    this.#arenas = shape.layers.map(() => undefined);
    this.#fed = policies.map(() => 0);
  }

  get sequences(): number {
    return this.#accounts.length;
  }

  /** A sequence's number inside the cache, and its row in the tensors of a decode step. */
  placeOf(sequence: number): number {
    return this.#places[sequence]!;
  }

  /** The rows that a sequence holds, as the host knows them. */
  account(sequence: number): Account {
    return this.#accounts[sequence]!;
  }

  /** Rows that a sequence holds, [layer][KV head]. */
  rows(sequence: number): number[][] {
    return this.account(sequence).rows;
  }

  /**
   * Accounts for one decode step of the given sequences. Returns the rows that every sequence of the cache keeps in it,
   * for `setKeep`; sequences that are not given keep everything.
   */
  feed(sequences: readonly number[]): Keep[] {
    const keeps: Keep[] = this.#accounts.map(() => []);
    const fed = sequences.map((sequence) => ({ sequence, ...this.follow(sequence, 1, "decode") }));
    for (const { sequence, account, keep } of fed) {
      this.#accounts[sequence] = account;
      this.#fed[sequence]!++;
      keeps[sequence] = keep;
    }
    return keeps;
  }

  /**
   * The account of a sequence after `tokens` more tokens, and the rows that it keeps. Changes nothing. Throws a
   * `PolicyError` if the policy does not answer as it did when the turn was planned: rows would be written beyond their
   * region otherwise.
   */
  follow(sequence: number, tokens: number, phase: "prefill" | "decode"): ReturnType<Account["feed"]> {
    const before = this.account(sequence);
    const after = before.feed(tokens, phase);
    const reserved = this.#reserved?.[sequence];
    if (!reserved) return after;
    const planned = reserved.digests?.[this.#fed[sequence]!];
    if (planned === undefined) this.#checkRoom(before, after, phase, reserved);
    else if (planned !== after.account.digest) {
      throw new PolicyError(
        `${before.policy.name}: the budget or the schedule answered differently after ${after.account.seen} tokens than when the turn was planned; both must be pure functions`,
      );
    }
    return after;
  }

  /** Throws a `CacheError` if a step that was not planned needs more rows than its regions have. */
  #checkRoom(before: Account, after: ReturnType<Account["feed"]>, phase: string, { capacity }: ReservedRows): void {
    for (const layer of this.shape.layers.keys()) {
      const rows = phase === "decode" ? before.rowsOf(layer).map((n) => n + 1) : after.account.rowsOf(layer);
      const head = rows.findIndex((n, at) => n > capacity[layer]![at]!);
      if (head >= 0)
        throw new CacheError(
          `layer ${layer}, KV head ${head} would hold ${rows[head]} rows; ${capacity[layer]![head]} are reserved`,
        );
    }
  }

  /** A message has been read: its sequence holds the rows of `account`, and decode steps continue from there. */
  commit(sequence: number, account: Account): void {
    this.#accounts[sequence] = account;
    this.#fed[sequence]!++;
    const seen = this.tables.seen(this.placeOf(sequence));
    this.tables.write(seen, new Array<number>(this.shape.kvHeads).fill(account.seen));
    this.resume(sequence);
  }

  /** Writes to the device how many rows stay in the next step. Only enqueues; must not be recorded. */
  setKeep(keeps: readonly Keep[]): void {
    const { kvHeads, layers } = this.shape;
    layers.forEach((_, layer) => {
      if (keeps.every((keep) => keep[layer] === undefined)) return;
      const rows = this.order.flatMap((at) => keeps[at]![layer] ?? new Array<number>(kvHeads).fill(everything));
      this.tables.write(this.tables.keep(layer), rows);
    });
  }

  /** Ends a sequence, which decode steps pass over from now on: it holds the rows of `account`. */
  end(sequence: number, account: Account): void {
    this.#accounts[sequence] = account;
    this.tables.write(this.tables.ended(this.placeOf(sequence)), [1]);
  }

  /** Lets decode steps continue a sequence that had ended. */
  resume(sequence: number): void {
    this.tables.write(this.tables.ended(this.placeOf(sequence)), [0]);
  }

  /** i32 [sequences], by place: not 0 for sequences that have ended. */
  get ended(): Slice {
    return this.tables.ended();
  }

  /** A slice that can be read only if the work enqueued for this cache has succeeded; 4 bytes of it are enough. */
  get proof(): Slice {
    return this.tables.length(0);
  }

  arena(layer: number): Arena {
    const arena = this.#arenas[layer];
    if (!arena) throw new CacheError(`layer ${layer} holds no rows yet; a prompt must be read first`);
    return arena;
  }

  /**
   * Tells the cache how many rows each sequence needs in the turn to come. Nothing is allocated yet: a prefill replaces
   * each layer's arena as it gets there, and `grow` moves the rows of a turn without a message.
   */
  reserve(rows: readonly ReservedRows[]): void {
    this.#reserved = this.order.map((_, sequence) => rows[sequence]!);
    this.#fed.fill(0);
  }

  #sizesOf(layer: number) {
    if (!this.#reserved) throw new CacheError("no rows are reserved; call reserve before rows are moved or read");
    const all = (part: "capacity" | "held") => this.order.flatMap((at) => this.#reserved![at]![part][layer]!);
    return { capacity: all("capacity"), held: all("held") };
  }

  #arenaOf(sizes: { readonly capacity: readonly number[]; readonly held: readonly number[] }): Arena {
    const { planes, dtype } = this;
    return new Arena(this.backend, { ...sizes, headSize: this.shape.headSize, planes, dtype });
  }

  /**
   * A layer's arena with the rows reserved: the old one if it fits, else a new one. What the old regions held is lost
   * then, so the caller must have it in the scratch.
   */
  reservedArena(layer: number): Arena {
    const sizes = this.#sizesOf(layer);
    const old = this.#arenas[layer];
    if (old?.fits(sizes)) return old;
    this.#arenas[layer] = undefined;
    old?.free();
    const arena = this.#arenaOf(sizes);
    this.#arenas[layer] = arena;
    this.tables.write(this.tables.offset(layer), arena.offsets);
    return arena;
  }

  /**
   * Takes over another cache's rows: in regions of the size reserved, or just large enough. The policies must need the
   * same cells beside K and V, and group the sequences alike.
   */
  async copyFrom(source: Cache): Promise<void> {
    const { planes, ranks, order } = this;
    const alike =
      source.sequences === order.length && source.order.every((sequence, place) => sequence === order[place]);
    if (source.planes !== planes || source.ranks !== ranks || !alike) {
      throw new CacheError(
        `rows with ${source.planes} cells cannot be copied to rows with ${planes}; the policies must count positions and columns alike`,
      );
    }
    if (!this.#reserved)
      this.reserve(order.map((_, sequence) => ({ capacity: source.rows(sequence), held: source.rows(sequence) })));
    const { tables } = this;
    const pool = new Pool(this.backend, "workspace");
    try {
      for (const layer of this.shape.layers.keys()) {
        const to = this.reservedArena(layer);
        await source.#copyRows(layer, to, tables.offset(layer), tables.length(layer), pool);
      }
    } finally {
      pool.dispose();
    }
    order.forEach((sequence, place) => {
      const account = source.account(sequence);
      this.#accounts[sequence] = account;
      tables.write(tables.seen(place), new Array<number>(this.shape.kvHeads).fill(account.seen));
    });
  }

  /** Moves every layer's rows to regions of the size reserved, one layer after the other: only one exists twice. */
  async grow(): Promise<void> {
    const { tables } = this;
    const pool = new Pool(this.backend, "workspace");
    try {
      for (const layer of this.shape.layers.keys()) {
        const old = this.arena(layer);
        const sizes = this.#sizesOf(layer);
        if (old.fits(sizes)) continue;
        const arena = this.#arenaOf(sizes);
        try {
          const offset = pool.take(arena.offsets.length);
          tables.write(offset, arena.offsets);
          await this.#copyRows(layer, arena, offset, tables.length(layer), pool);
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

  /** Copies a layer's rows, in the order of the text, to another arena; row counts are written to `targetLength`. */
  async #copyRows(layer: number, to: Arena, targetOffset: Slice, targetLength: Slice, pool: Pool): Promise<void> {
    const { backend, shape, planes, ranks, dtype: kv, tables } = this;
    const { keys, values, cells, rows: arenaRows } = this.arena(layer);
    const heads = this.sequences * shape.kvHeads;
    const capacity = this.#accounts.reduce((max, account) => Math.max(max, ...account.rowsOf(layer)), 1);
    const offset = tables.offset(layer);
    const length = tables.length(layer);
    const positions = this.arena(layer).plane(0);
    const choice = await allRows({ backend, pool, heads, capacity, arenaRows, positions, offset, length });
    const { rows, count, most } = choice;
    const sizes = { heads, most, headSize: shape.headSize, arenaRows, targetRows: to.rows, planes };
    const gather = await backend.prepare("gather", { ...sizes, kv, values: true, ranks });
    backend.dispatch(gather, {
      ...{ keys, values, cells, offset, rows, count },
      ...{ targetKeys: to.keys, targetValues: to.values, targetCells: to.cells, targetOffset, targetLength },
    });
    release(pool, choice);
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
  async kept(sequence: number): Promise<number[][][]> {
    const { kvHeads } = this.shape;
    const place = this.placeOf(sequence);
    return Promise.all(
      this.shape.layers.map(async (_, layer) => {
        const arena = this.arena(layer);
        const lengths = new Int32Array((await this.backend.read(this.tables.length(layer, place), 4 * kvHeads)).buffer);
        const heads = Array.from({ length: kvHeads }, async (_, head) => {
          const rows = lengths[head]!;
          if (rows === 0) return [];
          const from = arena.offsets[place * kvHeads + head]!;
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

/** Sequences by position mode, then by policy object; otherwise in their own order. */
function orderOf(policies: readonly Policy[]): number[] {
  const distinct = [...new Set(policies)];
  const key = (policy: Policy) => (policy.positions === "slot" ? distinct.length : 0) + distinct.indexOf(policy);
  return policies.map((_, index) => index).sort((a, b) => key(policies[a]!) - key(policies[b]!) || a - b);
}

function groupsOf(policies: readonly Policy[], order: readonly number[]): Group[] {
  const groups: { policy: Policy; first: number; count: number; sequences: number[] }[] = [];
  order.forEach((sequence, place) => {
    const policy = policies[sequence]!;
    const last = groups.at(-1);
    if (last?.policy !== policy) groups.push({ policy, first: place, count: 1, sequences: [sequence] });
    else {
      last.count++;
      last.sequences.push(sequence);
    }
  });
  return groups;
}
