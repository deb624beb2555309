import type { Slice } from "@ziggurat/tensor";
import type { Cache, Group } from "./cache.js";
import { observe, wishOf } from "./observe.js";
import { Pool } from "./pool.js";
import type { Firings } from "./progress.js";
import { policyFor } from "./sliding.js";

/** Which groups are compressed in which layers, [layer][group]: what a recorded step depends on. */
export type FiringPattern = readonly (readonly boolean[])[];

/** The pattern of one step, from every sequence's firings. */
export function firingPattern(cache: Cache, firings: readonly Firings[]): FiringPattern {
  return cache.shape.layers.map((_, layer) =>
    cache.groups.map(({ first, count }) =>
      firings.slice(first, first + count).some((fired) => fired[layer] !== undefined),
    ),
  );
}

/** More rows than any head holds: keeps everything. */
const everything = 2 ** 30;

export interface DecodeOptions {
  readonly pattern: FiringPattern;
  /** f32 [sequences, (queryHeads + 2 kvHeads) x headSize], unrotated; rotated in place. */
  readonly qkv: Slice;
  /** f32 [sequences, queryHeads x headSize] */
  readonly out: Slice;
}

/**
 * One decode step of all sequences of a cache: append, attend, observe, evict. Prepared once for a firing pattern;
 * `attend` and `end` only dispatch, so they may be recorded and replayed. Before each run the host calls `setKeep` with
 * that step's firings.
 */
export class DecodeStep {
  readonly #cache: Cache;
  readonly #options: DecodeOptions;
  readonly #layers: (readonly (() => void)[])[] = [];
  readonly #end: (() => void)[] = [];
  readonly #pool: Pool;
  readonly #lse: Slice;
  readonly #newest: Slice;

  private constructor(cache: Cache, options: DecodeOptions) {
    const { backend, shape, sequences } = cache;
    this.#cache = cache;
    this.#options = options;
    this.#pool = new Pool(backend, "workspace");
    const take = (bytes: number): Slice => ({ buffer: this.#pool.allocate(bytes), offset: 0 });
    this.#lse = take(4 * sequences * shape.queryHeads);
    this.#newest = take(4 * sequences * shape.kvHeads);
  }

  static async prepare(cache: Cache, options: DecodeOptions): Promise<DecodeStep> {
    const step = new DecodeStep(cache, options);
    try {
      await step.#prepare();
      return step;
    } catch (error) {
      step.free();
      throw error;
    }
  }

  async #prepare(): Promise<void> {
    const { backend, shape, tables, sequences } = this.#cache;
    for (const layer of shape.layers.keys()) this.#layers.push(await this.#layer(layer));
    const advance = await backend.prepare("advance", { repeat: 1, sequences, width: shape.kvHeads, by: 1 });
    this.#end.push(() => backend.dispatch(advance, { counter: tables.seen(), ended: tables.ended() }));
  }

  /** Attention of one layer. */
  attend(layer: number): void {
    for (const run of this.#layers[layer]!) run();
  }

  /** After the last layer. */
  end(): void {
    for (const run of this.#end) run();
  }

  /** Tells the device how many rows stay in the step to come. Only enqueues; not for inside `record`. */
  static setKeep(cache: Cache, firings: readonly Firings[]): void {
    const { kvHeads, layers } = cache.shape;
    layers.forEach((_, layer) => {
      if (firings.every((fired) => fired[layer] === undefined)) return;
      const keep = firings.flatMap((fired) => fired[layer] ?? new Array<number>(kvHeads).fill(everything));
      cache.tables.write(cache.tables.keep(layer), keep);
    });
  }

  async #layer(layer: number): Promise<(() => void)[]> {
    const { backend, shape, tables, sequences, dtype: kv, planes, ranks, groups } = this.#cache;
    const { qkv, pattern } = this.#options;
    const { queryHeads, kvHeads, headSize } = shape;
    const arena = this.#cache.arena(layer);
    const steps: (() => void)[] = [];
    const slotFrom = groups.find(({ policy }) => policy.positions === "slot")?.first ?? sequences;
    const ranges = [
      { first: 0, count: slotFrom, slot: false },
      { first: slotFrom, count: sequences - slotFrom, slot: true },
    ].filter(({ count }) => count > 0);
    for (const range of ranges) steps.push(await this.#rotate(layer, range));
    const append = await backend.prepare("append", {
      ...{ sequences, tokens: 1, queryHeads, kvHeads, headSize, arenaRows: arena.rows, planes },
      ...{ kv, keys: true, values: true, cells: true, ranks },
    });
    const { keys, values, cells } = arena;
    const places = {
      offset: tables.offset(layer),
      length: tables.length(layer),
      seen: tables.seen(),
      ended: tables.ended(),
    };
    steps.push(() => backend.dispatch(append, { qkv, keys, values, cells, ...places }));
    for (const range of ranges) steps.push(await this.#attention(layer, range));
    const advanced: Group[] = [];
    for (const [index, group] of groups.entries()) {
      const observes = shape.layers[layer]!.kind === "global" && group.policy.score.observe !== undefined;
      const fires = pattern[layer]![index]!;
      if (!observes && !fires) continue;
      steps.push(...(await this.#decide(layer, group, fires)));
      advanced.push(group);
    }
    for (const group of groups) if (!advanced.includes(group)) this.#end.push(await this.#advance(layer, group));
    return steps;
  }

  #qkv(sequence: number): Slice {
    const { queryHeads, kvHeads, headSize } = this.#cache.shape;
    const { buffer, offset } = this.#options.qkv;
    return { buffer, offset: offset + 4 * sequence * (queryHeads + 2 * kvHeads) * headSize };
  }

  async #rotate(layer: number, { first, count, slot }: Range): Promise<() => void> {
    const { backend, shape, tables, rope } = this.#cache;
    const table = rope(layer);
    if (!table) return () => {};
    const { queryHeads, kvHeads, headSize } = shape;
    const sizes = {
      sequences: count,
      tokens: 1,
      queryHeads,
      kvHeads,
      headSize,
      rotary: table.rotary,
      tableRows: table.rows,
    };
    const kernel = await backend.prepare("rope", { ...sizes, keys: !slot });
    const base = slot ? tables.length(layer, first) : tables.seen(first);
    return () => backend.dispatch(kernel, { qkv: this.#qkv(first), table: table.slice, base });
  }

  /** What kernels need to rotate keys on read. */
  #unrotated(layer: number, slot: boolean) {
    const table = slot ? this.#cache.rope(layer) : undefined;
    if (!table) return { spec: {}, operands: {} };
    const { planes } = this.#cache;
    return {
      spec: { slot: true, planes, rotary: table.rotary, tableRows: table.rows },
      operands: { table: table.slice, cells: this.#cache.arena(layer).cells },
    };
  }

  #capacity(layer: number, first: number, count: number): number {
    const { kvHeads } = this.#cache.shape;
    return Math.max(...this.#cache.arena(layer).capacity.slice(first * kvHeads, (first + count) * kvHeads));
  }

  async #attention(layer: number, { first, count, slot }: Range): Promise<() => void> {
    const { backend, shape, tables, dtype: kv } = this.#cache;
    const { queryHeads, kvHeads, headSize, scale, softcap } = shape;
    const { keys, values, rows: arenaRows } = this.#cache.arena(layer);
    const turned = this.#unrotated(layer, slot);
    const sizes = {
      sequences: count,
      queryHeads,
      kvHeads,
      headSize,
      arenaRows,
      capacity: this.#capacity(layer, first, count),
    };
    const kernel = await backend.prepare("decodeAttention", { ...sizes, kv, scale, softcap, ...turned.spec });
    const out = {
      buffer: this.#options.out.buffer,
      offset: this.#options.out.offset + 4 * first * queryHeads * headSize,
    };
    const lse = { buffer: this.#lse.buffer, offset: 4 * first * queryHeads };
    const places = {
      offset: tables.offset(layer, first),
      length: tables.length(layer, first),
      ended: tables.ended(first),
    };
    return () =>
      backend.dispatch(kernel, { qkv: this.#qkv(first), keys, values, ...places, out, lse, ...turned.operands });
  }

  async #advance(layer: number, { first, count }: Pick<Group, "first" | "count">): Promise<() => void> {
    const { backend, shape, tables } = this.#cache;
    const kernel = await backend.prepare("advance", { repeat: 1, sequences: count, width: shape.kvHeads, by: 1 });
    return () => backend.dispatch(kernel, { counter: tables.length(layer, first), ended: tables.ended(first) });
  }

  /** One group's policy at work: watch, observe, and where it fires score, choose and evict. */
  async #decide(layer: number, group: Group, fires: boolean): Promise<(() => void)[]> {
    const { backend, shape, tables, dtype, planes, ranks, firstColumn } = this.#cache;
    const { first, count: sequences } = group;
    const { kvHeads, queryHeads, headSize, scale, softcap } = shape;
    const policy = policyFor(shape.layers[layer]!, group.policy);
    const arena = this.#cache.arena(layer);
    const capacity = this.#capacity(layer, first, sequences);
    const wish = wishOf(policy, shape, layer, sequences, capacity, fires);
    const heads = sequences * kvHeads;
    const offset = tables.offset(layer, first);
    const length = tables.length(layer, first);
    const ended = tables.ended(first);
    const steps: (() => void)[] = [];
    const turned = this.#unrotated(layer, policy.positions === "slot");

    const words = sequences * queryHeads * capacity;
    const mass = wish.uses.has("mass") ? { buffer: this.#pool.allocate(4 * words), offset: 0 } : undefined;
    if (mass) {
      const fill = await backend.prepare("fill", { words, dtype: "f32", value: 0 });
      steps.push(() => backend.dispatch(fill, { out: mass }));
      if ((policy.score.watch ?? 0) > 0) {
        const sizes = { sequences, tokens: 1, queryHeads, kvHeads, headSize, arenaRows: arena.rows, capacity };
        const watch = await backend.prepare("watch", { ...sizes, kv: dtype, scale, softcap, ...turned.spec });
        const lse = { buffer: this.#lse.buffer, offset: 4 * first * queryHeads };
        steps.push(() =>
          backend.dispatch(watch, {
            qkv: this.#qkv(first),
            keys: arena.keys,
            lse,
            offset,
            length,
            ended,
            mass,
            ...turned.operands,
          }),
        );
      }
    }
    // Before `end` the counters of tokens read are still those before this step: the position of the newest token.
    const newest = { buffer: this.#newest.buffer, offset: 4 * first * kvHeads };
    const float = await backend.prepare("unary", { elements: heads, x: "i32", kind: "float" });
    steps.push(
      () => backend.dispatch(float, { x: tables.seen(first), out: newest }),
      await this.#advance(layer, group),
    );

    const plane = (index: number) => arena.plane(index);
    const unrotated = policy.positions === "slot" ? this.#cache.rope(layer) : undefined;
    const place = {
      keys: arena.keys,
      values: arena.values,
      plane,
      arenaRows: arena.rows,
      offset,
      length,
      capacity,
      dtype,
      unrotated,
      firstColumn,
    };
    const work = await observe({
      backend,
      allocator: this.#pool,
      wish,
      rows: place,
      sequences,
      kvHeads,
      headSize,
      ended,
      newest,
      mass,
    });
    steps.push(() => work.run());
    if (work.ranking) {
      const scores = work.ranking;
      const rows = { buffer: this.#pool.allocate(4 * heads * capacity), offset: 0 };
      const count = { buffer: this.#pool.allocate(4 * heads), offset: 0 };
      const topk = await backend.prepare("topk", { heads, capacity, most: capacity, arenaRows: arena.rows });
      const sizes = { sequences, kvHeads, capacity, most: capacity, headSize, arenaRows: arena.rows, planes };
      const evict = await backend.prepare("evict", { ...sizes, kv: dtype, ordered: wish.ordered, ranks });
      const { keys, values, cells } = arena;
      const keep = tables.keep(layer, first);
      steps.push(() => backend.dispatch(topk, { scores, positions: plane(0), offset, length, keep, rows, count }));
      steps.push(() => backend.dispatch(evict, { keys, values, cells, offset, length, rows, count, ended }));
      this.#pool.free(rows.buffer);
      this.#pool.free(count.buffer);
    }
    // The next layer may use these buffers again: commands run in order.
    work.free();
    if (mass) this.#pool.free(mass.buffer);
    return steps;
  }

  /** Gives temporaries back; recorded programs of this step must be released first. */
  free(): void {
    this.#pool.dispose();
  }
}

interface Range {
  readonly first: number;
  readonly count: number;
  readonly slot: boolean;
}
