import {
  Buffers,
  Cache,
  CacheError,
  type CacheShape,
  groupOrder,
  Prefill,
  planTurn,
  ropeTable,
  rotaryFrequencies,
} from "@ziggurat/cache";
import { full, none, type Policy, PolicyError, recency, uniform, whenOver } from "@ziggurat/policy";
import { type Backend, reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";

const shape: CacheShape = {
  layers: Array.from({ length: 2 }, () => ({ kind: "global" as const, kvHeads: 2, headSize: 4 })),
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

const newCache = (backend: Backend, ...policies: Policy[]) =>
  new Cache({ backend, shape, dtype: "f32", policies, rope: () => undefined });

/** Reads `tokens` tokens of made-up numbers into a sequence. */
async function fill(cache: Cache, sequence: number, tokens: number, room = 0): Promise<void> {
  const { backend } = cache;
  const plans = cache.progress.map((progress) => planTurn(progress, [tokens], room));
  const prefill = new Prefill([{ cache, sequence, plans }], tokens, 4);
  const width = 6 * 4;
  const buffers = new Buffers(backend);
  const qkv = buffers.allocate(4 * tokens * width, "test");
  const out = buffers.allocate(4 * tokens * 8, "test");
  await prefill.prepare(4);
  for (const layer of shape.layers.keys()) {
    backend.write(
      qkv,
      Float32Array.from({ length: tokens * width }, (_, i) => Math.sin(i * (layer + 1))),
    );
    await prefill.begin(layer);
    for (let first = 0; first < tokens; first += 4) {
      const at = (slice: typeof qkv, row: number) => ({ buffer: slice.buffer, offset: 4 * first * row });
      prefill.attend(layer, first, Math.min(4, tokens - first), at(qkv, width), at(out, 8));
    }
    await prefill.finish(layer);
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
    cache.progress[0]!.rows[layer]!.map(async (rows, head) => {
      const offset = 4 * 4 * arena.offsets[head]!;
      const parts = await Promise.all(
        [arena.keys, arena.values].map(({ buffer }) => cache.backend.read({ buffer, offset }, 16 * rows)),
      );
      return parts.flatMap((bytes) => [...new Float32Array(bytes.buffer)]);
    }),
  );
}

describe("groupOrder", () => {
  it("puts sequences that share a policy object side by side, those with slots last", () => {
    const [a, b] = [keeping(3), keeping(4)];
    expect(groupOrder([slots, a, b, a, slots, b])).toEqual([1, 3, 2, 5, 0, 4]);
    expect(groupOrder([])).toEqual([]);
    expect(() => newCache(reference(), a, b, a)).toThrow(CacheError);
    expect(() => newCache(reference(), slots, a)).toThrow(/slot positions last/);
    const { groups } = newCache(reference(), a, a, b, slots);
    expect(groups.map(({ first, count }) => [first, count])).toEqual([
      [0, 2],
      [2, 1],
      [3, 1],
    ]);
  });
});

describe("Cache", () => {
  it("allocates nothing for what is no policy", () => {
    const backend = reference();
    expect(() => newCache(backend, { name: "x" } as never)).toThrow(PolicyError);
    expect(backend.memory().peak).toBe(0);
  });

  it("says that a layer is empty before a prompt is read", () => {
    const cache = newCache(reference(), full());
    expect(() => cache.arena(0)).toThrow(/layer 0 holds no rows yet/);
  });

  it("counts its bytes by label, and gives all of them back, twice if asked", async () => {
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
    expect(await cache.kept()).toEqual(new Array(2).fill([[6, 7, 8, 9, 10], [6, 7, 8, 9, 10]]));
    cache.free();
    cache.free();
    expect(backend.memory().live).toBe(0);
  });

  it("grows and copies without losing a number", async () => {
    const backend = reference();
    const cache = newCache(backend, keeping(5));
    await fill(cache, 0, 11);
    const before = await Promise.all([rowsOf(cache, 0), rowsOf(cache, 1)]);
    const kept = await cache.kept();
    const copy = newCache(backend, cache.progress[0]!.policy);
    await copy.copyFrom(cache, [planTurn(cache.progress[0]!, [], 9)]);
    await cache.grow([planTurn(cache.progress[0]!, [], 20)]);
    for (const one of [cache, copy]) {
      expect(await Promise.all([rowsOf(one, 0), rowsOf(one, 1)])).toEqual(before);
      expect(await one.kept()).toEqual(kept);
      expect(one.progress[0]).toMatchObject({ seen: 11, evicted: 24 });
    }
    expect(cache.arena(1).capacity).toEqual([6, 6]);
    await expect(newCache(backend, slots).copyFrom(cache, [])).rejects.toThrow(
      /1 cells cannot be copied to rows with 2/,
    );
    cache.free();
    copy.free();
  });
});

describe("Prefill", () => {
  it("shares a scratch among several targets only while all are empty", async () => {
    const backend = reference();
    const [a, b] = [newCache(backend, full()), newCache(backend, full())];
    await fill(a, 0, 3);
    const { live } = backend.memory();
    // biome-ignore format: two targets
    expect(() => new Prefill([{ cache: a, sequence: 0, plans: [] }, { cache: b, sequence: 0, plans: [] }], 3, 4)).toThrow(CacheError);
    expect(backend.memory().live).toBe(live);
  });

  it("gives back what it has where the rest is refused", () => {
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
      const make = () =>
        new Prefill(
          [{ cache: Object.assign(Object.create(cache), { backend: refusing }), sequence: 0, plans: [] }],
          9,
          4,
        );
      expect(make).toThrow("no more");
      expect(backend.memory().live).toBe(live);
    }
  });

  it("refuses a tile that was not prepared", async () => {
    const backend = reference();
    const cache = newCache(backend, full());
    const prefill = new Prefill([{ cache, sequence: 0, plans: [planTurn(cache.progress[0]!, [8], 0)] }], 8, 4);
    const slice = { buffer: backend.allocate(4000, "test"), offset: 0 };
    expect(() => prefill.attend(0, 0, 4, slice, slice)).toThrow(/no kernels for a tile of 4 tokens/);
    prefill.free();
  });
});

describe("rotation tables", () => {
  it("hold cosines and sines of positions, and refuse what is no frequency", async () => {
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
