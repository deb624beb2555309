import type { Backend, Buffer, Slice } from "@ziggurat/tensor";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const at = (buffer: Buffer, offset = 0): Slice => ({ buffer, offset });
const floats = (bytes: Uint8Array<ArrayBuffer>) => [
  ...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4),
];

/** Whether an error has a name other than "Error", so that a caller can tell it from others. */
const isTyped = (error: unknown) => error instanceof Error && error.name !== "Error" && error.message.length > 0;
const thrown = (body: () => unknown): unknown => {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
};
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Specs whose parts do not fit together: a kernel that took them would leave its operands, or divide by 0. */
function impossible(backend: Backend): Promise<unknown>[] {
  const heads = { sequences: 1, tokens: 1, queryHeads: 2, kvHeads: 1, headSize: 8 };
  const rope = { ...heads, rotary: 8, tableRows: 4 };
  const append = { ...heads, arenaRows: 4, planes: 1, kv: "f32", cells: true } as const;
  const decode = { ...heads, arenaRows: 4, capacity: 4, kv: "f32", scale: 1, softcap: 0 } as const;
  const evict = {
    sequences: 1,
    kvHeads: 1,
    capacity: 4,
    most: 4,
    headSize: 8,
    arenaRows: 4,
    planes: 1,
    kv: "f32",
  } as const;
  const gather = { heads: 1, most: 4, headSize: 8, arenaRows: 4, targetRows: 4, planes: 1, kv: "f32" } as const;
  const load = { heads: 1, capacity: 4, width: 8, arenaRows: 4, source: "f32" } as const;
  const binary = { d0: 2, d1: 3, d2: 1, a0: 2, a1: 3, a2: 1, b0: 2, b1: 3, b2: 1, kind: "add", value: 0 } as const;
  const where = { d0: 2, d1: 3, d2: 1, m0: 2, m1: 3, m2: 1, a0: 2, a1: 3, a2: 1, b0: 2, b1: 3, b2: 1 };
  const literals = { valueA: 0, valueB: 0 };
  const reduce = { d0: 2, d1: 3, d2: 4, share: 1, kind: "sum" } as const;
  const { tokens: _, ...decodeHeads } = decode;
  return [
    backend.prepare("rope", { ...rope, kvHeads: 3 }),
    backend.prepare("rope", { ...rope, queryHeads: 1, kvHeads: 2 }),
    backend.prepare("rope", { ...rope, rotary: 10 }),
    backend.prepare("rope", { ...rope, rotary: 3 }),
    backend.prepare("append", { ...append, ranks: true }),
    backend.prepare("decodeAttention", { ...decodeHeads, slot: true, planes: 1, rotary: 8, tableRows: 4 }),
    backend.prepare("decodeAttention", { ...decodeHeads, slot: true, planes: 2, rotary: 8 }),
    backend.prepare("decodeAttention", { ...decodeHeads, slot: true, planes: 2, rotary: 16, tableRows: 4 }),
    backend.prepare("decodeAttention", { ...decodeHeads, kvHeads: 4 }),
    backend.prepare("watch", { ...decode, kvHeads: 4 }),
    backend.prepare("observe", { ...decode, queries: 1, kvHeads: 4 }),
    backend.prepare("observe", { ...decode, queries: 1, slot: true, planes: 1, rotary: 8, tableRows: 4 }),
    backend.prepare("observe", { ...decode, queries: 1, first: 1 }),
    backend.prepare("evict", { ...evict, ranks: true }),
    backend.prepare("gather", { ...gather, rotate: true, rotary: 8 }),
    backend.prepare("load", { ...load, rotate: true, rotary: 10, tableRows: 4 }),
    backend.prepare("binary", { ...binary, a0: 3 }),
    backend.prepare("binary", { ...binary, b1: 2 }),
    backend.prepare("where", { ...where, ...literals, m1: 2 }),
    backend.prepare("reduce", { ...reduce, axis: 3 }),
    backend.prepare("reduce", { ...reduce, axis: 2, ragged: true }),
    backend.prepare("pool", { heads: 1, capacity: 4, size: 1, kernel: 2, share: 1, kind: "avg" }),
  ];
}

/** Tests what every backend promises beside the meaning of ops: see `Backend` in @ziggurat/tensor. */
export function testContract(create: () => Promise<Backend>): void {
  describe("contract", () => {
    let backend: Backend;
    beforeEach(async () => {
      backend = await create();
    });
    afterEach(() => backend.dispose());

    const filled = (values: readonly number[], label = "test") => {
      const buffer = backend.allocate(4 * values.length, label);
      backend.write(at(buffer), Float32Array.from(values));
      return buffer;
    };
    const add = (d0: number) => {
      const axes = { d0, d1: 1, d2: 1, a0: d0, a1: 1, a2: 1, b0: d0, b1: 1, b2: 1 };
      return backend.prepare("binary", { ...axes, kind: "add", value: 0 });
    };

    it("describes itself", () => {
      expect(backend.info.name).not.toBe("");
      expect(backend.info.device).not.toBe("");
      expect(backend.info.prefillTokens).toBeGreaterThanOrEqual(1);
      expect(backend.info.maxBytes).toBeGreaterThan(0);
    });

    it("allocates zeroed bytes, also in reused memory", async () => {
      const first = filled([1, 2, 3, 4]);
      await backend.synchronise();
      backend.free(first);
      const second = backend.allocate(16, "test");
      expect(floats(await backend.read(at(second), 16))).toEqual([0, 0, 0, 0]);
    });

    it("copies what is written, and writes in order", async () => {
      const buffer = backend.allocate(16, "test");
      const data = Float32Array.of(1, 2, 3, 4);
      backend.write(at(buffer), data);
      data.fill(9);
      backend.write(at(buffer, 8), Float32Array.of(7));
      expect(floats(await backend.read(at(buffer), 16))).toEqual([1, 2, 7, 4]);
      expect(floats(await backend.read(at(buffer, 4), 8))).toEqual([2, 7]);
    });

    it("writes any view of bytes", async () => {
      const buffer = backend.allocate(8, "test");
      const whole = Uint8Array.of(9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9);
      backend.write(at(buffer), new DataView(whole.buffer, 4, 8));
      expect([...(await backend.read(at(buffer), 8))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    });

    it("reads the bytes as they were when `read` was called", async () => {
      const buffer = filled([1, 2]);
      const before = backend.read(at(buffer), 8);
      backend.write(at(buffer), Float32Array.of(5, 6));
      const after = backend.read(at(buffer), 8);
      expect(floats(await before)).toEqual([1, 2]);
      expect(floats(await after)).toEqual([5, 6]);
    });

    it("runs commands in the order in which they were enqueued", async () => {
      const kernel = await add(2);
      const [a, b, out] = [filled([1, 2]), filled([10, 20]), backend.allocate(8, "test")];
      backend.dispatch(kernel, { a: at(a), b: at(b), out: at(out) });
      backend.write(at(b), Float32Array.of(100, 200));
      backend.dispatch(kernel, { a: at(out), b: at(b), out: at(a) });
      backend.write(at(out), Float32Array.of(0, 0));
      expect(floats(await backend.read(at(a), 8))).toEqual([111, 222]);
      expect(floats(await backend.read(at(out), 8))).toEqual([0, 0]);
    });

    it("frees buffers only after the commands that use them", async () => {
      const kernel = await add(2);
      const [a, b, out] = [filled([1, 2]), filled([10, 20]), backend.allocate(8, "test")];
      backend.dispatch(kernel, { a: at(a), b: at(b), out: at(out) });
      backend.free(a);
      backend.free(b);
      filled([5, 5]);
      filled([6, 6]);
      expect(floats(await backend.read(at(out), 8))).toEqual([11, 22]);
    });

    it("records without running, and replays with the tables as they are at each replay", async () => {
      const heads = 2;
      const capacity = 4;
      const sizes = { heads, capacity, most: 2, arenaRows: 8 };
      const topk = await backend.prepare("topk", sizes);
      const advance = await backend.prepare("advance", { repeat: 1, sequences: 2, width: 1, by: 1 });
      const setup = () => {
        const words = (values: readonly number[]) => {
          const buffer = backend.allocate(4 * values.length, "test");
          backend.write(at(buffer), Int32Array.from(values));
          return buffer;
        };
        const places = {
          positions: at(words([0, 1, 2, 3, 4, 5, 6, 7])),
          offset: at(words([0, 4])),
          length: at(words([1, 2])),
          keep: at(words([2, 2])),
        };
        const results = { rows: at(words([-1, -1, -1, -1])), count: at(words([-1, -1])) };
        const scores = at(filled([1, 4, 2, 3, 5, 6, 8, 7]));
        const ended = at(words([0, 0]));
        const body = () => {
          backend.dispatch(topk, { ...places, ...results, scores });
          backend.dispatch(advance, { counter: places.length, ended });
        };
        const state = async () => {
          const slices = [places.length, results.rows, results.count];
          return Promise.all(slices.map(async (slice) => [...(await backend.read(slice, slice.buffer.bytes))]));
        };
        return { body, state, places, ended, scores };
      };
      const eager = setup();
      const replayed = setup();
      const before = await replayed.state();
      const program = backend.record(replayed.body);
      expect(program.dispatches).toBe(2);
      expect(await replayed.state()).toEqual(before);
      for (const change of [
        { keep: [2, 2], ended: [0, 0] },
        { keep: [1, 2], ended: [0, 0] },
        { keep: [2, 1], ended: [0, 1] },
      ]) {
        for (const { places, ended, scores } of [eager, replayed]) {
          backend.write(places.keep, Int32Array.from(change.keep));
          backend.write(ended, Int32Array.from(change.ended));
          backend.write(scores, Float32Array.of(change.keep[0]!));
        }
        eager.body();
        backend.replay(program);
        expect(await replayed.state()).toEqual(await eager.state());
      }
      backend.replay(program);
      backend.replay(program);
      eager.body();
      eager.body();
      expect(await replayed.state()).toEqual(await eager.state());
      backend.release(program);
      expect(isTyped(thrown(() => backend.replay(program)))).toBe(true);
    });

    it("refuses to replay a program whose buffers were freed", async () => {
      const kernel = await backend.prepare("fill", { words: 2, dtype: "f32", value: 3 });
      const [out, other] = [backend.allocate(8, "test"), backend.allocate(8, "test")];
      const program = backend.record(() => backend.dispatch(kernel, { out: at(out) }));
      backend.free(other);
      backend.replay(program);
      expect(floats(await backend.read(at(out), 8))).toEqual([3, 3]);
      backend.free(out);
      const next = filled([1, 2]);
      expect(thrown(() => backend.replay(program))).toHaveProperty("name", "OpError");
      expect(floats(await backend.read(at(next), 8))).toEqual([1, 2]);
      backend.release(program);
    });

    it("only dispatches while it records", async () => {
      const buffer = filled([1, 2]);
      const kernel = await backend.prepare("fill", { words: 2, dtype: "f32", value: 3 });
      const empty = backend.record(() => {});
      const calls: (() => unknown)[] = [
        () => backend.allocate(8, "test"),
        () => backend.free(buffer),
        () => backend.write(at(buffer), Float32Array.of(5)),
        () => backend.record(() => {}),
        () => backend.replay(empty),
        () => backend.release(empty),
      ];
      const program = backend.record(() => {
        for (const call of calls) expect(thrown(call)).toHaveProperty("name", "OpError");
        backend.dispatch(kernel, { out: at(buffer) });
      });
      expect(program.dispatches).toBe(1);
      expect(floats(await backend.read(at(buffer), 8))).toEqual([1, 2]);
      backend.replay(program);
      expect(floats(await backend.read(at(buffer), 8))).toEqual([3, 3]);
    });

    it("keeps working after a recording that threw", async () => {
      const fault = new RangeError("stop");
      expect(
        thrown(() =>
          backend.record(() => {
            throw fault;
          }),
        ),
      ).toBe(fault);
      const kernel = await backend.prepare("fill", { words: 1, dtype: "f32", value: 3 });
      const out = backend.allocate(4, "test");
      backend.dispatch(kernel, { out: at(out) });
      expect(floats(await backend.read(at(out), 4))).toEqual([3]);
    });

    it("counts bytes by label, exactly", async () => {
      const start = backend.memory();
      const weights = backend.allocate(1000, "weights");
      const mixed = backend.allocate(300, { kv: 200, room: 100 });
      const more = backend.allocate(52, "weights");
      expect(backend.memory().live).toBe(start.live + 1352);
      expect(backend.memory().labels).toMatchObject({
        weights: { live: 1052, peak: 1052 },
        kv: { live: 200, peak: 200 },
        room: { live: 100, peak: 100 },
      });
      expect(backend.memory().reserved).toBeGreaterThanOrEqual(backend.memory().live);
      backend.free(weights);
      backend.free(mixed);
      expect(backend.memory()).toMatchObject({ live: start.live + 52, peak: start.live + 1352 });
      expect(backend.memory().labels).toMatchObject({ weights: { live: 52, peak: 1052 }, kv: { live: 0, peak: 200 } });
      backend.resetPeak();
      expect(backend.memory().peak).toBe(start.live + 52);
      expect(backend.memory().labels.weights).toEqual({ live: 52, peak: 52 });
      const last = backend.allocate(8, "kv");
      expect(backend.memory()).toMatchObject({ live: start.live + 60, peak: start.live + 60 });
      backend.free(last);
      backend.free(more);
      await backend.synchronise();
      expect(backend.memory().live).toBe(start.live);
    });

    it("refuses labels that do not add up to the bytes", () => {
      expect(isTyped(thrown(() => backend.allocate(16, { a: 8, b: 4 })))).toBe(true);
    });

    it("refuses to free twice, and to use freed buffers", async () => {
      const buffer = backend.allocate(8, "test");
      const kernel = await backend.prepare("fill", { words: 2, dtype: "f32", value: 0 });
      backend.free(buffer);
      expect(isTyped(thrown(() => backend.free(buffer)))).toBe(true);
      expect(isTyped(thrown(() => backend.write(at(buffer), new Float32Array(2))))).toBe(true);
      expect(thrown(() => backend.dispatch(kernel, { out: at(buffer) }))).toHaveProperty("name", "OpError");
      expect(isTyped(await rejection(Promise.resolve().then(() => backend.read(at(buffer), 8))))).toBe(true);
      await backend.synchronise();
    });

    it("refuses buffers of another backend, and what is no buffer", async () => {
      const other = await create();
      try {
        const kernel = await backend.prepare("fill", { words: 2, dtype: "f32", value: 1 });
        const foreign = other.allocate(8, "test");
        const program = other.record(() => {});
        const forged = { bytes: 8 };
        for (const buffer of [foreign, forged, undefined as unknown as Buffer]) {
          expect(thrown(() => backend.free(buffer))).toHaveProperty("name", "BufferError");
          expect(thrown(() => backend.write(at(buffer), new Float32Array(2)))).toHaveProperty("name", "BufferError");
          const read = Promise.resolve().then(() => backend.read(at(buffer), 8));
          expect(await rejection(read)).toHaveProperty("name", "BufferError");
        }
        for (const buffer of [foreign, forged]) {
          expect(thrown(() => backend.dispatch(kernel, { out: at(buffer) }))).toHaveProperty("name", "OpError");
        }
        expect(thrown(() => backend.replay(program))).toHaveProperty("name", "OpError");
        expect(thrown(() => backend.release(program))).toHaveProperty("name", "OpError");
        expect(floats(await other.read(at(foreign), 8))).toEqual([0, 0]);
      } finally {
        await other.dispose();
      }
    });

    it("refuses to write or read beyond a buffer", async () => {
      const buffer = backend.allocate(8, "test");
      // The size of a buffer cannot be changed.
      expect(thrown(() => Object.assign(buffer, { bytes: 2 ** 20 }))).toBeInstanceOf(TypeError);
      for (const [offset, bytes] of [
        [-4, 4],
        [Number.NaN, 4],
        [0, Number.NaN],
        [0, 2.5],
        [0, -4],
        [2 ** 53, 4],
      ] as const) {
        const read = Promise.resolve().then(() => backend.read(at(buffer, offset), bytes));
        expect(await rejection(read), `${bytes} bytes from ${offset}`).toHaveProperty("name", "BufferError");
      }
      expect(isTyped(thrown(() => backend.write(at(buffer, 4), new Float32Array(2))))).toBe(true);
      expect(isTyped(thrown(() => backend.write(at(buffer, 2), new Float32Array(1))))).toBe(true);
      expect(isTyped(await rejection(Promise.resolve().then(() => backend.read(at(buffer), 12))))).toBe(true);
      expect(floats(await backend.read(at(buffer), 8))).toEqual([0, 0]);
    });

    it("reports a failed allocation at the next synchronise, once", async () => {
      const { live } = backend.memory();
      // More than any device has.
      backend.allocate(2 ** 50, "test");
      expect(isTyped(await rejection(backend.synchronise()))).toBe(true);
      await backend.synchronise();
      expect(backend.memory().live).toBe(live);
    });

    it("rejects reads of failed allocations and of what was computed from them, and no others", async () => {
      const { live } = backend.memory();
      const [fine, out, replayed] = [8, 8, 8].map((bytes) => backend.allocate(bytes, "test")) as [
        Buffer,
        Buffer,
        Buffer,
      ];
      const kernel = await backend.prepare("copy", { words: 2 });
      const lost = backend.allocate(2 ** 50, "test");
      backend.dispatch(kernel, { x: at(lost), out: at(out) });
      expect(isTyped(await rejection(backend.read(at(out), 8)))).toBe(true);
      const program = backend.record(() => backend.dispatch(kernel, { x: at(lost), out: at(replayed) }));
      const replay = async () => {
        backend.replay(program);
        await backend.read(at(replayed), 8);
      };
      expect(isTyped(await rejection(replay()))).toBe(true);
      backend.release(program);
      // A backend may report the failure at a read of other bytes, but once.
      await rejection(backend.synchronise());
      expect(floats(await backend.read(at(fine), 8))).toEqual([0, 0]);
      for (const buffer of [fine, out, replayed, lost]) backend.free(buffer);
      await backend.synchronise();
      expect(backend.memory().live).toBe(live);
    });

    it("rejects specs that break the catalogue", async () => {
      const bad = [
        backend.prepare("no such op" as "copy", { words: 1 }),
        backend.prepare("copy", { words: 0 }),
        backend.prepare("copy", { words: 1.5 }),
        backend.prepare("copy", {} as { words: number }),
        backend.prepare("fill", { words: 1, dtype: "f16" as "f32", value: 0 }),
        backend.prepare("unary", { elements: 1, x: "f32", kind: "cube" as "exp" }),
        backend.prepare("linear", { rows: 1, width: 33, out: 1, weight: "q8_0" }),
        backend.prepare("fill", { words: 2 ** 31, dtype: "f32", value: 0 }),
        ...impossible(backend),
      ];
      for (const promise of bad) expect(await rejection(promise)).toHaveProperty("name", "OpError");
    });

    it("refuses operands that are missing, unknown or too small", async () => {
      const kernel = await backend.prepare("copy", { words: 4 });
      const [x, small] = [backend.allocate(16, "test"), backend.allocate(12, "test")];
      const bad = [
        { x: at(x) },
        { x: at(x), out: at(small) },
        { x: at(x), out: at(x, 4) },
        { x: at(x), out: at(x), y: at(x) },
      ];
      for (const operands of bad) {
        expect(thrown(() => backend.dispatch(kernel, operands as { x: Slice; out: Slice }))).toHaveProperty(
          "name",
          "OpError",
        );
      }
      await backend.synchronise();
    });

    it("frees everything when it is disposed of", async () => {
      filled([1, 2, 3]);
      await backend.synchronise();
      await backend.dispose();
      expect(backend.memory().live).toBe(0);
      expect(isTyped(await rejection(Promise.resolve().then(() => backend.allocate(4, "test"))))).toBe(true);
      backend = await create();
    });
  });
}
