import { type Backend, Buffers, type Kernel, type Slice } from "@ziggurat/tensor";
import type { Account, Keep } from "./account.js";
import type { Cache } from "./cache.js";
import { allRows, release } from "./choice.js";
import { decide } from "./decide.js";
import { Pool } from "./pool.js";
import { Scratch } from "./scratch.js";
import { CacheError, type CacheShape, type GramOf, type RopeOf } from "./shape.js";
import { type Moment, zeros } from "./sources.js";
import { type TileKernels, tileKernels } from "./tile-kernels.js";

/** A sequence that holds what its policy keeps of the message. */
export interface Target {
  readonly cache: Cache;
  readonly sequence: number;
}

/** A stretch of the message that is attended at once. */
export interface Tile {
  /** Its first token, counted from the message's first. */
  readonly first: number;
  readonly tokens: number;
}

/** Tables of the model that a prefill reads. */
export interface PrefillTables {
  /** The rotation tables. */
  readonly rope: RopeOf;
  /** Gram matrices of the output projections. */
  readonly gram: GramOf;
}

/** A target at work: where it is in its cache, its account before and after the message, and the rows that it keeps. */
interface Member {
  readonly cache: Cache;
  readonly sequence: number;
  readonly place: number;
  readonly before: Account;
  readonly after: Account;
  readonly keep: Keep;
  readonly slot: boolean;
}

/**
 * Reads one message, layer by layer: `begin`, then `attend` for each of `tiles`, then `finish` for each target, whose
 * policy chooses rows from the exact scratch; `commit` after the last layer. Several targets share one prefill if none
 * of them holds rows yet.
 */
export class Prefill {
  /** The message cut into tiles, in order. */
  readonly tiles: readonly Tile[];
  readonly #backend: Backend;
  readonly #shape: CacheShape;
  readonly #members: readonly [Member, ...Member[]];
  readonly #tokens: number;
  readonly #rope: RopeOf;
  readonly #gram: GramOf;
  readonly #scratch: Scratch;
  readonly #pool: Pool;
  readonly #buffers: Buffers;
  /** Sums of attention, f32 [query heads, rows], by number of watched queries. */
  readonly #sums = new Map<number, Slice>();
  /** Attention of each watched query, f32 [query heads, rows, queries], by number of queries. */
  readonly #observed = new Map<number, Slice>();
  readonly #newest: Slice;
  readonly #lse: Slice;
  readonly #kernels = new Map<number, TileKernels>();
  readonly #watches = new Map<string, Kernel<"watch">>();
  readonly #observes = new Map<string, Kernel<"observe">>();

  private constructor(
    targets: readonly [Target, ...Target[]],
    tokens: number,
    tile: number,
    { rope, gram }: PrefillTables,
  ) {
    const { backend, shape, dtype } = targets[0].cache;
    const members = targets.map(({ cache, sequence }): Member => {
      const before = cache.account(sequence);
      const { account: after, keep } = cache.follow(sequence, tokens, "prefill");
      const slot = before.policy.positions === "slot";
      return { cache, sequence, place: cache.placeOf(sequence), before, after, keep, slot };
    });
    if (members.length > 1 && members.some(({ before }) => before.seen > 0)) {
      throw new CacheError(
        "several targets can share a prefill only while all of them are empty; feed later messages one by one",
      );
    }
    this.tiles = Array.from({ length: Math.ceil(tokens / tile) }, (_, index) => ({
      first: index * tile,
      tokens: Math.min(tile, tokens - index * tile),
    }));
    this.#backend = backend;
    this.#shape = shape;
    this.#members = members as [Member, ...Member[]];
    this.#tokens = tokens;
    this.#rope = rope;
    this.#gram = gram;
    const { before } = this.#members[0];
    const capacity = before.most + tokens;
    this.#pool = new Pool(backend, "scores");
    this.#buffers = new Buffers(backend);
    for (const member of members) {
      const watch = this.#watchOf(member);
      if (watch > 0 && !this.#sums.has(watch))
        this.#sums.set(watch, this.#buffers.allocate(4 * shape.queryHeads * capacity, "scores"));
      const each = this.#eachOf(member);
      if (each > 0 && !this.#observed.has(each))
        this.#observed.set(each, this.#buffers.allocate(4 * shape.queryHeads * capacity * each, "scores"));
    }
    this.#newest = this.#buffers.allocate(4 * shape.kvHeads, "scores");
    this.#lse = this.#buffers.allocate(4 * shape.queryHeads * Math.min(tile, tokens), "workspace");
    try {
      const sizes = members.map(({ cache, slot }) => ({ planes: cache.planes, slot }));
      this.#scratch = new Scratch(backend, shape, dtype, capacity, sizes);
    } catch (error) {
      this.#buffers.free();
      throw error;
    }
    backend.write(this.#newest, new Int32Array(shape.kvHeads).fill(before.seen + tokens - 1));
  }

  /**
   * Makes a prefill of a message of `tokens` tokens ready, in tiles of `tile` tokens, the last of which may be shorter.
   * Rejects with a `CacheError` or `PolicyError` before anything is allocated.
   */
  static async prepare(
    targets: readonly [Target, ...Target[]],
    tokens: number,
    tile: number,
    tables: PrefillTables,
  ): Promise<Prefill> {
    const prefill = new Prefill(targets, tokens, tile, tables);
    try {
      for (const one of prefill.tiles) await prefill.#prepare(one);
      return prefill;
    } catch (error) {
      prefill.free();
      throw error;
    }
  }

  async #prepare({ first, tokens }: Tile): Promise<void> {
    const [{ cache }, ...others] = this.#members;
    if (!this.#kernels.has(tokens)) {
      const caches = [cache, ...others.map((other) => other.cache)] as const;
      this.#kernels.set(tokens, await tileKernels(caches, this.#scratch, tokens, this.#rope));
    }
    const { queryHeads, kvHeads, headSize, scale, softcap } = this.#shape;
    const { rows: arenaRows, capacity } = this.#scratch;
    for (const watch of this.#sums.keys()) {
      const from = this.#watchedFrom(watch, first);
      const key = `${tokens} ${from}`;
      if (from >= tokens || this.#watches.has(key)) continue;
      const sizes = { sequences: 1, tokens, queryHeads, kvHeads, headSize, arenaRows, capacity };
      const kernel = await this.#backend.prepare("watch", { ...sizes, from, scale, softcap, kv: cache.dtype });
      this.#watches.set(key, kernel);
    }
    for (const queries of this.#observed.keys()) {
      const { key, from, index } = this.#observedFrom(queries, { first, tokens });
      if (from >= tokens || this.#observes.has(key)) continue;
      const sizes = { sequences: 1, tokens, queryHeads, kvHeads, headSize, arenaRows, capacity, queries };
      const spec = { ...sizes, from, first: index, scale, softcap, kv: cache.dtype };
      this.#observes.set(key, await this.#backend.prepare("observe", spec));
    }
  }

  /** How many of the message's newest queries a member's policy watches. */
  #watchOf({ before: { policy } }: Member): number {
    return Math.min(policy.score.watch ?? 0, this.#tokens);
  }

  /** How many of the message's newest queries a member's policy watches one by one. */
  #eachOf({ before: { policy } }: Member): number {
    return Math.min(policy.score.watchEach ?? 0, this.#tokens);
  }

  /** The first of `queries` watched queries in a tile, its index among them, and the key of the tile's kernel. */
  #observedFrom(queries: number, { first, tokens }: Tile) {
    const from = this.#watchedFrom(queries, first);
    const index = first + from - (this.#tokens - queries);
    return { from, index, key: `${queries} ${tokens} ${from} ${index}` };
  }

  /** The first watched query of a tile, counted from the tile's first token; at least its size if there is none. */
  #watchedFrom(watch: number, first: number): number {
    return Math.max(0, this.#tokens - watch - first);
  }

  /** Starts a layer: the rows that the target held before come first, in the order of the text. */
  async begin(layer: number): Promise<void> {
    const { before } = this.#members[0];
    const { kvHeads, queryHeads } = this.#shape;
    const { tables, capacity } = this.#scratch;
    tables.write(tables.seen(), new Array<number>(kvHeads).fill(before.seen));
    tables.write(tables.length(0), before.rowsOf(layer));
    // Only a lone target may hold rows from before.
    if (before.seen > 0) await this.#restore(layer);
    for (const sums of this.#sums.values()) (await zeros(this.#backend, sums, queryHeads * capacity))();
  }

  async #restore(layer: number): Promise<void> {
    const backend = this.#backend;
    const { cache, place, before, slot } = this.#members[0];
    const { kvHeads: heads, headSize } = this.#shape;
    const { slotKeys, tables, rows: targetRows, ...scratch } = this.#scratch;
    const arena = cache.arena(layer);
    const offset = cache.tables.offset(layer, place);
    const length = cache.tables.length(layer, place);
    const { rows: arenaRows } = arena;
    const capacity = Math.max(...before.rowsOf(layer));
    const from = { backend, pool: this.#pool, heads, capacity, arenaRows, positions: arena.plane(0), offset, length };
    const choice = await allRows(from);
    const { rows, count, most } = choice;
    const { planes, ranks, dtype: kv } = cache;
    const spec = { heads, most, headSize, arenaRows, targetRows, planes, kv };
    const target = { targetOffset: tables.offset(0), targetLength: tables.length(0) };
    const places = { keys: arena.keys, offset, rows, count, ...target };
    // Slot positions: the scratch holds keys that are rotated by their rank, and unrotated ones beside them.
    const table = slot ? this.#rope(layer) : undefined;
    const rotation = table ? { rotate: true, rotary: table.rotary, tableRows: table.rows } : {};
    const gather = await backend.prepare("gather", { ...spec, values: true, ranks, ...rotation });
    backend.dispatch(gather, {
      ...{ ...places, values: arena.values, cells: arena.cells },
      ...{ targetKeys: scratch.keys, targetValues: scratch.values, targetCells: scratch.cells[0]! },
      ...(table ? { table: table.slice } : {}),
    });
    if (slotKeys) backend.dispatch(await backend.prepare("gather", spec), { ...places, targetKeys: slotKeys });
    release(this.#pool, choice);
  }

  /**
   * Attention of one tile. qkv: f32 [tokens, (queryHeads + 2 kvHeads) x headSize], unrotated, rotated in place; out:
   * f32 [tokens, queryHeads x headSize]. `begin(layer)` and the tiles before this one come first. Only enqueues.
   */
  attend(layer: number, { first, tokens }: Tile, qkv: Slice, out: Slice): void {
    const backend = this.#backend;
    const kernels = this.#kernels.get(tokens);
    if (!kernels)
      throw new CacheError(`attend: no kernels for a tile of ${tokens} tokens; the tiles are those of \`tiles\``);
    const { keys, values, slotKeys, cells, tables } = this.#scratch;
    const [offset, length, seen, ended] = [tables.offset(0), tables.length(0), tables.seen(), tables.ended()];
    const places = { qkv, offset, length, seen, ended };
    if (kernels.appendSlotKeys) backend.dispatch(kernels.appendSlotKeys, { ...places, keys: slotKeys! });
    const rope = kernels.rope[layer];
    // Several targets are all empty: there rank and position in the text are the same.
    const base = this.#members[0].slot ? length : seen;
    if (rope) backend.dispatch(rope, { qkv, table: this.#rope(layer)!.slice, base });
    backend.dispatch(kernels.append, { ...places, keys, values, cells: cells[0]! });
    kernels.appendCells.forEach((kernel, index) => backend.dispatch(kernel, { ...places, cells: cells[index + 1]! }));
    const lse = this.#lse;
    backend.dispatch(kernels.attention[layer]!, { qkv, keys, values, offset, length, out, lse });
    if (this.#shape.layers[layer]!.kind === "global") this.#watch({ first, tokens }, qkv);
    backend.dispatch(kernels.advance, { counter: length, ended });
    backend.dispatch(kernels.advance, { counter: seen, ended });
  }

  #watch({ first, tokens }: Tile, qkv: Slice): void {
    const { tables, keys } = this.#scratch;
    for (const [watch, mass] of this.#sums) {
      const from = this.#watchedFrom(watch, first);
      if (from >= tokens) continue;
      const kernel = this.#watches.get(`${tokens} ${from}`);
      if (!kernel)
        throw new CacheError(`attend: the watch over tokens ${first + from} to ${first + tokens} was not prepared`);
      const places = { offset: tables.offset(0), length: tables.length(0), ended: tables.ended() };
      this.#backend.dispatch(kernel, { qkv, keys, lse: this.#lse, ...places, mass });
    }
    for (const [queries, observed] of this.#observed) {
      const { from, key } = this.#observedFrom(queries, { first, tokens });
      if (from >= tokens) continue;
      const kernel = this.#observes.get(key);
      if (!kernel)
        throw new CacheError(`attend: observing tokens ${first + from} to ${first + tokens} was not prepared`);
      const places = { offset: tables.offset(0), length: tables.length(0), ended: tables.ended() };
      this.#backend.dispatch(kernel, { qkv, keys, lse: this.#lse, ...places, observed });
    }
  }

  /** Ends a layer for one target, an index of `targets`: its policy observes and scores, and it keeps its rows. */
  async finish(layer: number, target: number): Promise<void> {
    const backend = this.#backend;
    const pool = this.#pool;
    const { cache, place, before, keep: keeps, slot } = this.#members[target]!;
    const { keys, values, slotKeys, cells, tables, rows: arenaRows } = this.#scratch;
    const { kvHeads: heads, headSize } = this.#shape;
    const moment = this.#moment(layer, target);
    const { offset, length } = moment;
    const keep = keeps[layer];
    if (keep) tables.write(tables.keep(0), keep);
    const compression = keep && { keep: tables.keep(0), most: Math.max(1, ...keep) };
    const work = await decide(before.policy, this.#shape.layers[layer]!, moment, compression);
    work.run();
    const positions = moment.plane(0);
    const everything = { backend, pool, heads, capacity: moment.facts.rows, arenaRows, positions, offset, length };
    const choice = work.choice ?? (await allRows(everything));
    const { rows, count, most } = choice;
    const arena = cache.reservedArena(layer);
    const { planes, ranks, dtype: kv } = cache;
    const sizes = { heads, most, headSize, arenaRows, targetRows: arena.rows, planes };
    const gather = await backend.prepare("gather", { ...sizes, kv, values: true, ranks });
    backend.dispatch(gather, {
      ...{ keys: slot ? slotKeys! : keys, values, cells: cells[target]!, offset, rows, count },
      ...{ targetKeys: arena.keys, targetValues: arena.values, targetCells: arena.cells },
      ...{ targetOffset: cache.tables.offset(layer, place), targetLength: cache.tables.length(layer, place) },
    });
    if (!work.choice) release(pool, choice);
    work.free();
  }

  /** A layer's scratch, as one target's policy sees it. */
  #moment(layer: number, target: number): Moment {
    const { cache } = this.#members[target]!;
    const { keys, values, tables, capacity: rows, rows: arenaRows } = this.#scratch;
    const { kvHeads, queryHeads, headSize, layers } = this.#shape;
    const queries = Math.max(1, this.#eachOf(this.#members[target]!));
    return {
      backend: this.#backend,
      pool: this.#pool,
      facts: { layer, layerCount: layers.length, kvHeads, queryHeads, headSize, sequences: 1, rows, queries },
      ...{ keys, values, arenaRows, dtype: cache.dtype },
      plane: (index) => this.#scratch.plane(target, index),
      ...{ offset: tables.offset(0), length: tables.length(0), ended: tables.ended(), newest: this.#newest },
      firstColumn: cache.firstColumn,
      slotRope: undefined,
      sums: this.#sums.get(this.#watchOf(this.#members[target]!)),
      observed: this.#observed.get(this.#eachOf(this.#members[target]!)),
      gram: () => this.#gram(layer),
    };
  }

  /** All layers are done: the targets hold what they kept. */
  commit(): void {
    for (const { cache, sequence, after } of this.#members) cache.commit(sequence, after);
  }

  /** Bytes of the scratch in device memory. */
  get bytes(): number {
    return this.#scratch.bytes;
  }

  /** Frees the scratch and everything else. May be called at any point, and again. */
  free(): void {
    this.#scratch.free();
    this.#pool.dispose();
    this.#buffers.free();
  }
}
