import {
  Cache,
  CacheError,
  type CacheShape,
  Prefill,
  planTurn,
  ropeTable,
  rotaryFrequencies,
  type Target,
  type TurnPlan,
} from "@ziggurat/cache";
import { full, none, type Policy, PolicyError, recency, uniform, whenOver } from "@ziggurat/policy";
import { type Backend, Buffers, reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";

const shape: CacheShape = {
  layers: Array.from({ length: 2 }, () => ({ kind: "global" as const })),
  ...{ queryHeads: 2, kvHeads: 2, headSize: 4, scale: 0.5, softcap: 0 },
};
const keeping = (rows: number): Policy => ({
  name: `keeping ${rows}`,
  budget: uniform(rows),
  score: recency,
  protect: none,
  schedule: whenOver(),
});
const slots: Policy = { ...keeping(4), positions: "slot" };

const newCache = (backend: Backend, ...policies: Policy[]) => new Cache({ backend, shape, dtype: "f32", policies });
const noTables = {
  rope: () => undefined,
  gram: () => Promise.reject(new CacheError("these rows have no output projection")),
};

/** Reads `tokens` tokens of made-up numbers into a sequence. */
async function fill(cache: Cache, sequence: number, tokens: number, room = 0, plans?: TurnPlan[]): Promise<void> {
  const { backend } = cache;
  cache.reserve(plans ?? cache.order.map((_, other) => planTurn(cache.account(other), [tokens], room)));
  const prefill = await Prefill.prepare([{ cache, sequence }], tokens, 4, noTables);
  const width = 6 * 4;
  const buffers = new Buffers(backend);
  const qkv = buffers.allocate(4 * tokens * width, "test");
  const out = buffers.allocate(4 * tokens * 8, "test");
  for (const layer of shape.layers.keys()) {
    backend.write(
      qkv,
      Float32Array.from({ length: tokens * width }, (_, i) => Math.sin(i * (layer + 1))),
    );
    await prefill.begin(layer);
    for (const tile of prefill.tiles) {
      const at = (slice: typeof qkv, row: number) => ({ buffer: slice.buffer, offset: 4 * tile.first * row });
      prefill.attend(layer, tile, at(qkv, width), at(out, 8));
    }
    await prefill.finish(layer, 0);
  }
  prefill.commit();
  prefill.free();
  prefill.free();
  buffers.free();
}

/** Every number of K and V that a layer holds, head by head. */
async function rowsOf(cache: Cache, layer: number): Promise<number[][]> {
  const arena = cache.arena(layer);
  return Promise.all(
    cache
      .account(0)
      .rowsOf(layer)
      .map(async (rows, head) => {
        const offset = 4 * 4 * arena.offsets[head]!;
        const parts = await Promise.all(
          [arena.keys, arena.values].map(({ buffer }) => cache.backend.read({ buffer, offset }, 16 * rows)),
        );
        return parts.flatMap((bytes) => [...new Float32Array(bytes.buffer)]);
      }),
  );
}

describe("the order inside a cache", () => {
  it("puts sequences that share a policy object side by side, those with slot positions last", () => {
    const [a, b] = [keeping(3), keeping(4)];
    const cache = newCache(reference(), slots, a, b, a, slots, b);
    expect(cache.order).toEqual([1, 3, 2, 5, 0, 4]);
    expect(cache.order.map((sequence) => cache.placeOf(sequence))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(cache.groups.map(({ first, count, sequences }) => [first, count, sequences])).toEqual([
      [0, 2, [1, 3]],
      [2, 2, [2, 5]],
      [4, 2, [0, 4]],
    ]);
    const sorted = newCache(reference(), a, a, b, slots);
    expect(sorted.order).toEqual([0, 1, 2, 3]);
    expect(sorted.groups.map(({ first, count }) => [first, count])).toEqual([
      [0, 2],
      [2, 1],
      [3, 1],
    ]);
  });

  it("is not visible outside: each sequence has its own rows and account", async () => {
    const [a, b] = [keeping(3), keeping(4)];
    const cache = newCache(reference(), b, a, b);
    const lengths = [9, 7, 5];
    const plans = lengths.map((tokens, sequence) => planTurn(cache.account(sequence), [tokens], 2));
    for (const [sequence, tokens] of lengths.entries()) await fill(cache, sequence, tokens, 2, plans);
    expect(cache.order).toEqual([0, 2, 1]);
    expect([0, 1, 2].map((sequence) => cache.account(sequence).seen)).toEqual(lengths);
    const kept = await Promise.all([0, 1, 2].map(async (sequence) => (await cache.kept(sequence))[0]![0]!));
    expect(kept).toEqual([
      [5, 6, 7, 8],
      [4, 5, 6],
      [1, 2, 3, 4],
    ]);
    expect(cache.rows(1)).toEqual(new Array(2).fill([3, 3]));
    cache.free();
  });
});

describe("Cache", () => {
  it("allocates nothing if a policy is not a policy", () => {
    const backend = reference();
    expect(() => newCache(backend, { name: "x" } as never)).toThrow(PolicyError);
    expect(backend.memory().peak).toBe(0);
  });

  it("says that a layer is empty before a prompt is read", () => {
    const cache = newCache(reference(), full());
    expect(() => cache.arena(0)).toThrow(/layer 0 holds no rows yet/);
  });

  it("counts its bytes by label, and frees all of them, twice if asked", async () => {
    const backend = reference();
    const cache = newCache(backend, keeping(5));
    await fill(cache, 0, 11, 3);
    const row = 2 * 4 * 4 + 4;
    const { labels } = backend.memory();
    expect([labels.cache!.live, labels.room!.live, labels.tables!.live]).toEqual([
      4 * 5 * row,
      4 * 1 * row,
      4 * (3 * 4 + 2 + 1),
    ]);
    expect(cache.bytes).toBe(backend.memory().live);
    expect(cache.room).toBe(4 * row);
    expect(cache.arenaBytes).toEqual([12 * row, 12 * row]);
    // biome-ignore format: rows
    expect(await cache.kept(0)).toEqual(new Array(2).fill([[6, 7, 8, 9, 10], [6, 7, 8, 9, 10]]));
    cache.free();
    cache.free();
    expect(backend.memory().live).toBe(0);
  });

  it("grows and copies without losing a number", async () => {
    const backend = reference();
    const cache = newCache(backend, keeping(5));
    await fill(cache, 0, 11);
    const before = await Promise.all([rowsOf(cache, 0), rowsOf(cache, 1)]);
    const kept = await cache.kept(0);
    const { policy } = cache.account(0);
    const [copy, tight] = [newCache(backend, policy), newCache(backend, policy)];
    copy.reserve([planTurn(cache.account(0), [], 9)]);
    await copy.copyFrom(cache);
    await tight.copyFrom(cache);
    cache.reserve([planTurn(cache.account(0), [], 20)]);
    await cache.grow();
    for (const one of [cache, copy, tight]) {
      expect(await Promise.all([rowsOf(one, 0), rowsOf(one, 1)])).toEqual(before);
      expect(await one.kept(0)).toEqual(kept);
      expect(one.account(0)).toMatchObject({ seen: 11, evicted: 24 });
    }
    expect([cache, copy, tight].map((one) => one.arena(1).capacity)).toEqual([
      [6, 6],
      [6, 6],
      [5, 5],
    ]);
    await expect(newCache(backend, slots).copyFrom(cache)).rejects.toThrow(/1 cells cannot be copied to rows with 2/);
    for (const one of [cache, copy, tight]) one.free();
  });
});

describe("Prefill", () => {
  it("shares a scratch among several targets only while all are empty", async () => {
    const backend = reference();
    const [a, b] = [newCache(backend, full()), newCache(backend, full())];
    await fill(a, 0, 3);
    const { live } = backend.memory();
    const targets = [a, b].map((cache) => ({ cache, sequence: 0 })) as [Target, Target];
    await expect(Prefill.prepare(targets, 3, 4, noTables)).rejects.toThrow(CacheError);
    expect(backend.memory().live).toBe(live);
  });

  it("frees what it has if the rest is refused", async () => {
    for (let most = 0; most < 8; most++) {
      const backend = reference();
      const cache = newCache(backend, { ...keeping(3), score: { ...recency, watch: 2 }, positions: "slot" });
      const { live } = backend.memory();
      let left = most;
      const refusing: Backend = {
        ...backend,
        allocate(bytes, label) {
          if (left-- === 0) throw new Error("no more");
          return backend.allocate(bytes, label);
        },
      };
      const starved = new Proxy(cache, {
        get(target, name) {
          if (name === "backend") return refusing;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
      await expect(Prefill.prepare([{ cache: starved, sequence: 0 }], 9, 4, noTables)).rejects.toThrow("no more");
      expect(backend.memory().live).toBe(live);
    }
  });

  it("refuses a tile that is not one of its tiles, and rows that were not reserved", async () => {
    const backend = reference();
    const cache = newCache(backend, full());
    const prefill = await Prefill.prepare([{ cache, sequence: 0 }], 8, 4, noTables);
    expect(prefill.tiles).toEqual([
      { first: 0, tokens: 4 },
      { first: 4, tokens: 4 },
    ]);
    const slice = { buffer: backend.allocate(4000, "test"), offset: 0 };
    expect(() => prefill.attend(0, { first: 0, tokens: 3 }, slice, slice)).toThrow(/no kernels for a tile of 3 tokens/);
    await expect(prefill.finish(0, 0)).rejects.toThrow(/no rows are reserved/);
    prefill.free();
  });
});

describe("rotation tables", () => {
  it("hold cosines and sines of positions, and refuse frequencies that are not valid", async () => {
    const backend = reference();
    const frequencies = rotaryFrequencies(100, 4);
    expect([...frequencies]).toEqual([1, Math.fround(0.1)]);
    const table = ropeTable(backend, frequencies, 3, 2);
    const numbers = [...new Float32Array((await backend.read(table.slice, 48)).buffer)];
    const expected = [0, 1, 2].flatMap((p) => [
      ...[p, p / 10].map((a) => 2 * Math.cos(a)),
      ...[p, p / 10].map((a) => 2 * Math.sin(a)),
    ]);
    numbers.forEach((value, index) => expect(value).toBeCloseTo(expected[index]!, 6));
    table.free();
    for (const theta of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => rotaryFrequencies(theta, 4)).toThrow(CacheError);
    for (const rotary of [0, 3, 1.5, -2]) expect(() => rotaryFrequencies(10, rotary)).toThrow(CacheError);
  });
});
