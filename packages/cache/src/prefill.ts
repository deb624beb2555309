import type { Backend, Buffer, Kernel, Slice } from "@ziggurat/tensor";
import { Buffers } from "./buffers.js";
import type { Cache, CachePlan } from "./cache.js";
import { observe, wishOf } from "./observe.js";
import { Pool } from "./pool.js";
import type { Firings, Progress } from "./progress.js";
import { Scratch } from "./scratch.js";
import { CacheError, type CacheShape } from "./shape.js";
import { policyFor } from "./sliding.js";
import { type TileKernels, tileKernels } from "./tile-kernels.js";

/** A sequence that is to hold what its policy keeps of the message. */
export interface Target {
  readonly cache: Cache;
  readonly sequence: number;
  /** The turn's plan of every sequence of the cache. */
  readonly plans: readonly CachePlan[];
}

/**
 * Reads one message, layer by layer: `begin`, then `attend` tile by tile over the whole message, then `finish`, which
 * lets every target's policy choose from the same exact scratch. Several targets share one prefill if none of them
 * holds rows yet.
 */
export class Prefill {
  readonly #backend: Backend;
  readonly #shape: CacheShape;
  readonly #targets: readonly [Target, ...Target[]];
  readonly #tokens: number;
  readonly #scratch: Scratch;
  readonly #pool: Pool;
  readonly #after: readonly Progress[];
  readonly #firings: readonly Firings[];
  readonly #buffers: Buffers;
  readonly #masses = new Map<number, Slice>();
  readonly #newest: Slice;
  readonly #lse: Slice;
  readonly #tiles = new Map<number, TileKernels>();
  readonly #watches = new Map<string, Kernel<"watch">>();

  /**
   * `tile`: the most tokens that one `attend` will be given. Throws a `CacheError` or `PolicyError` before anything is
   * allocated.
   */
  constructor(targets: readonly [Target, ...Target[]], tokens: number, tile: number) {
    const { backend, shape, dtype } = targets[0].cache;
    const before = targets.map(({ cache, sequence }) => cache.progress[sequence]!);
    if (targets.length > 1 && before.some(({ seen }) => seen > 0)) {
      throw new CacheError(
        "several targets can share a prefill only while all of them are empty; feed later messages one by one",
      );
    }
    this.#backend = backend;
    this.#shape = shape;
    this.#targets = targets;
    this.#tokens = tokens;
    this.#after = before.map((progress) => progress.clone());
    this.#firings = this.#after.map((progress) => progress.feed(tokens, "prefill"));
    const capacity = before[0]!.most + tokens;
    const sizes = targets.map(({ cache, sequence }) => ({
      planes: cache.planes,
      slot: cache.progress[sequence]!.policy.positions === "slot",
    }));
    this.#pool = new Pool(backend, "scores");
    this.#buffers = new Buffers(backend);
    for (const { policy } of before) {
      const watch = Math.min(policy.score.watch ?? 0, tokens);
      if (watch > 0 && !this.#masses.has(watch))
        this.#masses.set(watch, this.#buffers.allocate(4 * shape.queryHeads * capacity, "scores"));
    }
    this.#newest = this.#buffers.allocate(4 * shape.kvHeads, "scores");
    this.#lse = this.#buffers.allocate(4 * shape.queryHeads * Math.min(tile, tokens), "workspace");
    try {
      this.#scratch = new Scratch(backend, shape, dtype, capacity, sizes);
    } catch (error) {
      this.#buffers.free();
      throw error;
    }
    backend.write(this.#newest, new Float32Array(shape.kvHeads).fill(before[0]!.seen + tokens - 1));
  }

  /** Makes `attend` ready for the message in tiles of `tile` tokens, the last of which may be shorter. */
  async prepare(tile: number): Promise<void> {
    const [first, ...others] = this.#targets;
    const caches = [first.cache, ...others.map(({ cache }) => cache)] as const;
    for (let from = 0; from < this.#tokens; from += tile) {
      const tokens = Math.min(tile, this.#tokens - from);
      if (!this.#tiles.has(tokens)) this.#tiles.set(tokens, await tileKernels(caches, this.#scratch, tokens));
      await this.#prepareWatches(from, tokens);
    }
  }

  async #prepareWatches(first: number, tokens: number): Promise<void> {
    const { queryHeads, kvHeads, headSize, scale, softcap } = this.#shape;
    const { rows: arenaRows, capacity } = this.#scratch;
    for (const watch of this.#masses.keys()) {
      const from = Math.max(0, this.#tokens - watch - first);
      const key = `${tokens} ${from}`;
      if (from >= tokens || this.#watches.has(key)) continue;
      const sizes = { sequences: 1, tokens, queryHeads, kvHeads, headSize, arenaRows, capacity };
      this.#watches.set(
        key,
        await this.#backend.prepare("watch", { ...sizes, from, scale, softcap, kv: this.#targets[0]!.cache.dtype }),
      );
    }
  }

  get #slot(): boolean {
    const { cache, sequence } = this.#targets[0]!;
    return cache.progress[sequence]!.policy.positions === "slot";
  }

  /** Starts a layer: what the target held before comes first, in the order of the text. */
  async begin(layer: number): Promise<void> {
    const { cache, sequence } = this.#targets[0]!;
    const { kvHeads, queryHeads } = this.#shape;
    const { tables, capacity } = this.#scratch;
    const before = cache.progress[sequence]!;
    tables.write(tables.seen(), new Array<number>(kvHeads).fill(before.seen));
    tables.write(tables.length(0), before.rows[layer]!);
    if (before.seen > 0) await this.#restore(layer);
    for (const out of this.#masses.values()) {
      const kernel = await this.#backend.prepare("fill", { words: queryHeads * capacity, dtype: "f32", value: 0 });
      this.#backend.dispatch(kernel, { out });
    }
  }

  async #restore(layer: number): Promise<void> {
    const backend = this.#backend;
    const { cache, sequence } = this.#targets[0]!;
    const { kvHeads: heads, headSize } = this.#shape;
    const { keys, values, cells, plainKeys, tables, rows: targetRows } = this.#scratch;
    const arena = cache.arena(layer);
    const most = Math.max(...cache.progress[sequence]!.rows[layer]!);
    const offset = cache.tables.offset(layer, sequence);
    const length = cache.tables.length(layer, sequence);
    const sorted = { buffer: this.#pool.allocate(4 * heads * most), offset: 0 };
    const count = { buffer: this.#pool.allocate(4 * heads), offset: 0 };
    const order = await backend.prepare("order", { heads, capacity: most, arenaRows: arena.rows });
    backend.dispatch(order, { positions: arena.plane(0), offset, length, rows: sorted, count });
    const { planes, ranks, dtype: kv } = cache;
    const spec = { heads, most, headSize, arenaRows: arena.rows, targetRows, planes, kv };
    const table = this.#slot ? cache.rope(layer) : undefined;
    const places = {
      keys: arena.keys,
      offset,
      rows: sorted,
      count,
      targetOffset: tables.offset(0),
      targetLength: tables.length(0),
    };
    const turned = table ? { rotate: true, rotary: table.rotary, tableRows: table.rows } : {};
    const all = await backend.prepare("gather", { ...spec, values: true, ranks, ...turned });
    const both = {
      values: arena.values,
      cells: arena.cells,
      targetKeys: keys,
      targetValues: values,
      targetCells: cells[0]!,
    };
    backend.dispatch(all, { ...places, ...both, ...(table ? { table: table.slice } : {}) });
    if (plainKeys) backend.dispatch(await backend.prepare("gather", spec), { ...places, targetKeys: plainKeys });
    this.#pool.free(sorted.buffer);
    this.#pool.free(count.buffer);
  }

  /**
   * Attention of `tokens` tokens, the message's `first` and those after it, in order. qkv: f32 [tokens, (queryHeads + 2
   * kvHeads) x headSize], unrotated, rotated in place; out: f32 [tokens, queryHeads x headSize]. `prepare` and
   * `begin(layer)` come first. Only enqueues.
   */
  attend(layer: number, first: number, tokens: number, qkv: Slice, out: Slice): void {
    const backend = this.#backend;
    const kernels = this.#tiles.get(tokens);
    if (!kernels)
      throw new CacheError(
        `attend: no kernels for a tile of ${tokens} tokens; prepare(tile) comes first, and tiles follow one another`,
      );
    const { keys, values, plainKeys, cells, tables } = this.#scratch;
    const places = {
      qkv,
      offset: tables.offset(0),
      length: tables.length(0),
      seen: tables.seen(),
      ended: tables.ended(),
    };
    if (kernels.appendPlain) backend.dispatch(kernels.appendPlain, { ...places, keys: plainKeys! });
    const rope = kernels.rope[layer];
    if (rope) {
      const table = this.#targets[0]!.cache.rope(layer)!.slice;
      backend.dispatch(rope, { qkv, table, base: this.#slot ? tables.length(0) : tables.seen() });
    }
    backend.dispatch(kernels.append, { ...places, keys, values, cells: cells[0]! });
    kernels.appendCells.forEach((kernel, index) => backend.dispatch(kernel, { ...places, cells: cells[index + 1]! }));
    const lse = this.#lse;
    backend.dispatch(kernels.attention[layer]!, {
      qkv,
      keys,
      values,
      offset: places.offset,
      length: places.length,
      out,
      lse,
    });
    if (this.#shape.layers[layer]!.kind === "global") this.#watch(first, tokens, qkv, lse);
    backend.dispatch(kernels.advance, { counter: tables.length(0), ended: places.ended });
    backend.dispatch(kernels.advance, { counter: tables.seen(), ended: places.ended });
  }

  #watch(first: number, tokens: number, qkv: Slice, lse: Slice): void {
    const { tables, keys } = this.#scratch;
    for (const [watch, mass] of this.#masses) {
      const from = Math.max(0, this.#tokens - watch - first);
      if (from >= tokens) continue;
      const kernel = this.#watches.get(`${tokens} ${from}`);
      if (!kernel)
        throw new CacheError(`attend: the watch over tokens ${first + from} to ${first + tokens} was not prepared`);
      const places = { qkv, keys, lse, offset: tables.offset(0), length: tables.length(0), ended: tables.ended() };
      this.#backend.dispatch(kernel, { ...places, mass });
    }
  }

  /**
   * Ends a layer: every target observes, scores, and keeps its rows. `clock`, where given, is told the seconds that
   * each target took; the device is waited for then.
   */
  async finish(layer: number, clock?: (target: number, seconds: number) => void): Promise<void> {
    // By reading what is this prefill's own: synchronise would tell it of what goes wrong elsewhere.
    if (clock) await this.#backend.read(this.#scratch.tables.length(0), 4);
    for (let index = 0; index < this.#targets.length; index++) {
      const started = performance.now();
      await this.#keep(layer, index);
      if (!clock) continue;
      const { cache, sequence } = this.#targets[index]!;
      await this.#backend.read(cache.tables.length(layer, sequence), 4);
      clock(index, (performance.now() - started) / 1000);
    }
  }

  async #keep(layer: number, index: number): Promise<void> {
    const backend = this.#backend;
    const shape = this.#shape;
    const { cache, sequence, plans } = this.#targets[index]!;
    const { keys, values, plainKeys, cells, tables, capacity, rows: arenaRows } = this.#scratch;
    const { kvHeads: heads, headSize } = shape;
    const progress = cache.progress[sequence]!;
    const policy = policyFor(shape.layers[layer]!, progress.policy);
    const keep = this.#firings[index]![layer];
    const offset = tables.offset(0);
    const length = tables.length(0);
    const plane = (at: number) => this.#scratch.plane(index, at);

    const wish = wishOf(policy, shape, layer, 1, capacity, keep !== undefined);
    const watched = this.#masses.get(Math.min(policy.score.watch ?? 0, this.#tokens));
    const silent = !watched && wish.uses.has("mass") ? this.#zeros() : undefined;
    const work = await observe({
      backend,
      allocator: this.#pool,
      wish,
      rows: {
        keys,
        values,
        plane,
        arenaRows,
        offset,
        length,
        capacity,
        dtype: cache.dtype,
        unrotated: undefined,
        firstColumn: cache.firstColumn,
      },
      sequences: 1,
      kvHeads: heads,
      headSize,
      ended: tables.ended(),
      newest: this.#newest,
      mass: watched ?? (silent && { buffer: silent, offset: 0 }),
    });
    work.run();

    const most = keep ? Math.max(...keep) : capacity;
    const rows = { buffer: this.#pool.allocate(4 * heads * most), offset: 0 };
    const count = { buffer: this.#pool.allocate(4 * heads), offset: 0 };
    if (keep) {
      tables.write(tables.keep(0), keep);
      const topk = await backend.prepare("topk", { heads, capacity, most, arenaRows });
      backend.dispatch(topk, {
        scores: work.ranking!,
        positions: plane(0),
        offset,
        length,
        keep: tables.keep(0),
        rows,
        count,
      });
    } else {
      const order = await backend.prepare("order", { heads, capacity, arenaRows });
      backend.dispatch(order, { positions: plane(0), offset, length, rows, count });
    }
    const arena = cache.resize(layer, plans);
    const { planes, ranks, dtype: kv } = cache;
    const gather = await backend.prepare("gather", {
      heads,
      most,
      headSize,
      arenaRows,
      targetRows: arena.rows,
      planes,
      kv,
      values: true,
      ranks,
    });
    backend.dispatch(gather, {
      keys: progress.policy.positions === "slot" ? plainKeys! : keys,
      values,
      cells: cells[index]!,
      offset,
      rows,
      count,
      targetKeys: arena.keys,
      targetValues: arena.values,
      targetCells: arena.cells,
      targetOffset: cache.tables.offset(layer, sequence),
      targetLength: cache.tables.length(layer, sequence),
    });
    work.free();
    this.#pool.free(rows.buffer);
    this.#pool.free(count.buffer);
    if (silent) this.#pool.free(silent);
  }

  /** A policy may read `mass` though it watches nothing: it is zero then. */
  #zeros(): Buffer {
    const words = this.#shape.queryHeads * this.#scratch.capacity;
    const buffer = this.#pool.allocate(4 * words);
    this.#backend.write({ buffer, offset: 0 }, new Float32Array(words));
    return buffer;
  }

  /** All layers are done: the targets hold what they kept. Returns what each target's layers were cut down to. */
  commit(): readonly Firings[] {
    this.#targets.forEach(({ cache, sequence }, index) => {
      cache.progress[sequence]!.assign(this.#after[index]!);
      cache.tables.write(
        cache.tables.seen(sequence),
        new Array<number>(this.#shape.kvHeads).fill(this.#after[index]!.seen),
      );
      cache.tables.write(cache.tables.ended(sequence), [0]);
    });
    return this.#firings;
  }

  /** Bytes of the scratch in device memory. */
  get bytes(): number {
    return this.#scratch.bytes;
  }

  /** Frees the scratch and all else; safe at any point, and again. */
  free(): void {
    this.#scratch.free();
    this.#pool.dispose();
    this.#buffers.free();
  }
}
