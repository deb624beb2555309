import type { Slice } from "@ziggurat/tensor";
import type { Keep } from "./account.js";
import type { Cache, Group } from "./cache.js";
import { decide } from "./decide.js";
import { Pool } from "./pool.js";
import type { GramOf, RopeOf } from "./shape.js";
import type { Moment } from "./sources.js";

/** Which groups are compressed in which layers, [layer][group]: everything that a recorded step depends on. */
export type StepPattern = readonly (readonly boolean[])[];

/** Returns the pattern of one step from the rows that every sequence keeps. */
export function stepPattern(cache: Cache, keeps: readonly Keep[]): StepPattern {
  return cache.shape.layers.map((_, layer) =>
    cache.groups.map(({ sequences }) => sequences.some((sequence) => keeps[sequence]![layer] !== undefined)),
  );
}

export interface DecodeStepOptions {
  readonly pattern: StepPattern;
  /**
   * f32 [sequences, (queryHeads + 2 kvHeads) x headSize], unrotated, rotated in place; a sequence's row is
   * `cache.placeOf(sequence)`.
   */
  readonly qkv: Slice;
  /** f32 [sequences, queryHeads x headSize], in the same order. */
  readonly out: Slice;
  /** The rotation tables. */
  readonly rope: RopeOf;
  /** Gram matrices of the output projections. */
  readonly gram: GramOf;
}

/** Neighbouring places in a cache whose positions count alike. */
interface Range {
  readonly first: number;
  readonly count: number;
  readonly slot: boolean;
}

/**
 * One decode step of all sequences of a cache: append, attend, observe, evict. Prepared once for each pattern. `attend`
 * and `end` only dispatch, so they may be recorded and replayed. The host calls `cache.setKeep` with that step's rows
 * before each run.
 */
export class DecodeStep {
  readonly #cache: Cache;
  readonly #options: DecodeStepOptions;
  readonly #layers: (readonly (() => void)[])[] = [];
  readonly #end: (() => void)[] = [];
  readonly #pool: Pool;
  readonly #lse: Slice;

  private constructor(cache: Cache, options: DecodeStepOptions) {
    const { backend, shape, sequences } = cache;
    this.#cache = cache;
    this.#options = options;
    this.#pool = new Pool(backend, "workspace");
    this.#lse = this.#pool.take(sequences * shape.queryHeads);
  }

  static async prepare(cache: Cache, options: DecodeStepOptions): Promise<DecodeStep> {
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

  /** Ends the step, after the last layer. */
  end(): void {
    for (const run of this.#end) run();
  }

  async #layer(layer: number): Promise<(() => void)[]> {
    const { backend, shape, tables, sequences, dtype: kv, planes, ranks, groups } = this.#cache;
    const { qkv, pattern } = this.#options;
    const { queryHeads, kvHeads, headSize } = shape;
    const { keys, values, cells, rows: arenaRows } = this.#cache.arena(layer);
    const commands: (() => void)[] = [];
    const slotFrom = groups.find(({ policy }) => policy.positions === "slot")?.first ?? sequences;
    const ranges = [
      { first: 0, count: slotFrom, slot: false },
      { first: slotFrom, count: sequences - slotFrom, slot: true },
    ].filter(({ count }) => count > 0);
    for (const range of ranges) commands.push(await this.#rotate(layer, range));
    const append = await backend.prepare("append", {
      ...{ sequences, tokens: 1, queryHeads, kvHeads, headSize, arenaRows, planes },
      ...{ kv, keys: true, values: true, cells: true, ranks },
    });
    const [offset, length] = [tables.offset(layer), tables.length(layer)];
    const places = { offset, length, seen: tables.seen(), ended: tables.ended() };
    commands.push(() => backend.dispatch(append, { qkv, keys, values, cells, ...places }));
    for (const range of ranges) commands.push(await this.#attention(layer, range));
    for (const [index, group] of groups.entries()) {
      const observes = shape.layers[layer]!.kind === "global" && group.policy.score.observe !== undefined;
      const compresses = pattern[layer]![index]!;
      if (observes || compresses) commands.push(...(await this.#decide(layer, group, compresses)));
      else this.#end.push(await this.#advance(layer, group));
    }
    return commands;
  }

  #qkv(place: number): Slice {
    const { queryHeads, kvHeads, headSize } = this.#cache.shape;
    const { buffer, offset } = this.#options.qkv;
    return { buffer, offset: offset + 4 * place * (queryHeads + 2 * kvHeads) * headSize };
  }

  async #rotate(layer: number, { first, count, slot }: Range): Promise<() => void> {
    const { backend, shape, tables } = this.#cache;
    const table = this.#options.rope(layer);
    if (!table) return () => {};
    const { queryHeads, kvHeads, headSize } = shape;
    const { rotary, rows: tableRows } = table;
    const sizes = { sequences: count, tokens: 1, queryHeads, kvHeads, headSize, rotary, tableRows };
    const kernel = await backend.prepare("rope", { ...sizes, keys: !slot });
    const base = slot ? tables.length(layer, first) : tables.seen(first);
    return () => backend.dispatch(kernel, { qkv: this.#qkv(first), table: table.slice, base });
  }

  /** Attributes and operands of kernels that rotate keys by rank as they read them; none for positions in the text. */
  #slotKeys(layer: number, slot: boolean) {
    const table = slot ? this.#options.rope(layer) : undefined;
    if (!table) return { spec: {}, operands: {} };
    const { planes } = this.#cache;
    return {
      spec: { slot: true, planes, rotary: table.rotary, tableRows: table.rows },
      operands: { table: table.slice, cells: this.#cache.arena(layer).cells },
    };
  }

  /** The most rows that a head of these places has room for. */
  #capacity(layer: number, first: number, count: number): number {
    const { kvHeads } = this.#cache.shape;
    return Math.max(...this.#cache.arena(layer).capacity.slice(first * kvHeads, (first + count) * kvHeads));
  }

  async #attention(layer: number, { first, count, slot }: Range): Promise<() => void> {
    const { backend, shape, tables, dtype: kv } = this.#cache;
    const { queryHeads, kvHeads, headSize, scale, softcap } = shape;
    const { keys, values, rows: arenaRows } = this.#cache.arena(layer);
    const { spec, operands } = this.#slotKeys(layer, slot);
    const capacity = this.#capacity(layer, first, count);
    const sizes = { sequences: count, queryHeads, kvHeads, headSize, arenaRows, capacity };
    const kernel = await backend.prepare("decodeAttention", { ...sizes, kv, scale, softcap, ...spec });
    const { buffer, offset } = this.#options.out;
    const out = { buffer, offset: offset + 4 * first * queryHeads * headSize };
    const lse = this.#lseOf(first);
    const [starts, length] = [tables.offset(layer, first), tables.length(layer, first)];
    const places = { offset: starts, length, ended: tables.ended(first) };
    return () => backend.dispatch(kernel, { qkv: this.#qkv(first), keys, values, ...places, out, lse, ...operands });
  }

  #lseOf(place: number): Slice {
    return { buffer: this.#lse.buffer, offset: 4 * place * this.#cache.shape.queryHeads };
  }

  /** Counts the step's rows as held. */
  async #advance(layer: number, { first, count }: Group): Promise<() => void> {
    const { backend, shape, tables } = this.#cache;
    const kernel = await backend.prepare("advance", { repeat: 1, sequences: count, width: shape.kvHeads, by: 1 });
    return () => backend.dispatch(kernel, { counter: tables.length(layer, first), ended: tables.ended(first) });
  }

  /** The decision about one group's rows; if the layer is compressed, rows that are not chosen are evicted. */
  async #decide(layer: number, group: Group, compresses: boolean): Promise<(() => void)[]> {
    const { backend, shape, tables, planes, ranks } = this.#cache;
    const { first, count: sequences } = group;
    const { kvHeads, headSize } = shape;
    const moment = await this.#moment(layer, group);
    const { keys, values, arenaRows, dtype: kv, offset, length, ended } = moment;
    const capacity = moment.facts.rows;
    const compression = compresses ? { keep: tables.keep(layer, first), most: capacity } : undefined;
    const work = await decide(group.policy, shape.layers[layer]!, moment, compression);
    const commands = [() => work.run()];
    if (work.choice) {
      const { rows, count, most } = work.choice;
      const sizes = { sequences, kvHeads, capacity, most, headSize, arenaRows, planes };
      const evict = await backend.prepare("evict", { ...sizes, kv, ordered: work.ordered, ranks });
      const { cells } = this.#cache.arena(layer);
      commands.push(() => backend.dispatch(evict, { keys, values, cells, offset, length, rows, count, ended }));
    }
    // The next layer may use these buffers again: commands run in order.
    work.free();
    return commands;
  }

  /** A layer's arena, as one group's policy sees it. */
  async #moment(layer: number, group: Group): Promise<Moment> {
    const { backend, shape, tables, dtype, firstColumn } = this.#cache;
    const { first, count: sequences, policy } = group;
    const { kvHeads, queryHeads, headSize, scale, softcap } = shape;
    const arena = this.#cache.arena(layer);
    const { keys, values, rows: arenaRows } = arena;
    const slot = policy.positions === "slot";
    const { spec, operands } = this.#slotKeys(layer, slot);
    const rows = this.#capacity(layer, first, sequences);
    const places = {
      offset: tables.offset(layer, first),
      length: tables.length(layer, first),
      ended: tables.ended(first),
    };
    const watches = (policy.score.watch ?? 0) > 0;
    const watchesEach = (policy.score.watchEach ?? 0) > 0;
    const step = { sequences, tokens: 1, queryHeads, kvHeads, headSize, arenaRows, capacity: rows };
    const attention = { kv: dtype, scale, softcap, ...spec };
    const [qkv, lse] = [this.#qkv(first), this.#lseOf(first)];
    return {
      ...{ backend, pool: this.#pool, keys, values, arenaRows, dtype, firstColumn, ...places },
      facts: { layer, layerCount: shape.layers.length, kvHeads, queryHeads, headSize, sequences, rows, queries: 1 },
      plane: (index) => arena.plane(index),
      // Until `end`, the counters are those before this step: the position of the newest token.
      newest: tables.seen(first),
      slotRope: slot ? this.#options.rope(layer) : undefined,
      sums: undefined,
      observed: undefined,
      gram: () => this.#options.gram(layer),
      ...(watches
        ? {
            watch: async (mass) => {
              const kernel = await backend.prepare("watch", { ...step, ...attention });
              return () => backend.dispatch(kernel, { qkv, keys, lse, ...places, mass, ...operands });
            },
          }
        : {}),
      ...(watchesEach
        ? {
            observe: async (observed) => {
              const kernel = await backend.prepare("observe", { ...step, queries: 1, ...attention });
              return () => backend.dispatch(kernel, { qkv, keys, lse, ...places, observed, ...operands });
            },
          }
        : {}),
      arrive: await this.#advance(layer, group),
    };
  }

  /** Frees the temporaries. Recorded programs of this step must be released first. */
  free(): void {
    this.#pool.dispose();
  }
}
