import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  type Backend,
  type Buffer,
  bytesOf,
  type Operands,
  type OpName,
  OutOfMemoryError,
  type Slice,
  type Spec,
  weightDTypes,
} from "@ziggurat/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CpuError, type CpuOptions, cpu } from "../src/index.js";

const seed = 7;

/** Numbers in -1..1, the same for the same salt. */
function numbers(count: number, salt: number): Float32Array {
  let state = seed * 1000 + salt;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Words whose halves are harmless halves, bfloat16s and bytes of weights. */
function weights(bytes: number, salt: number): Uint8Array {
  const small = Uint16Array.from(
    numbers(Math.ceil(bytes / 2), salt),
    (x) => (x < 0 ? 0xb000 : 0x3000) + Math.floor(Math.abs(x) * 0x7ff),
  );
  return new Uint8Array(small.buffer, 0, bytes);
}

type Values = Readonly<Record<string, ArrayBufferView | number>>;

/**
 * Runs one op on operands given by their values, or by their number of bytes where the op writes; resolves to what it
 * wrote.
 */
async function result<N extends OpName>(backend: Backend, op: N, spec: Spec<N>, values: Values): Promise<Uint8Array[]> {
  const slices = Object.entries(values).map(([name, value]): [string, Slice] => {
    const bytes = typeof value === "number" ? value : value.byteLength;
    const slice = { buffer: backend.allocate(bytes, "test"), offset: 0 };
    if (typeof value !== "number") backend.write(slice, value);
    return [name, slice];
  });
  backend.dispatch(await backend.prepare(op, spec), Object.fromEntries(slices) as Operands<N>);
  const written = slices.filter(([name]) => typeof values[name] === "number");
  const read = await Promise.all(written.map(([, slice]) => backend.read(slice, slice.buffer.bytes)));
  for (const [, { buffer }] of slices) backend.free(buffer);
  return read;
}

describe("the same bits with one thread, two and three", () => {
  let backends: Backend[];
  beforeAll(async () => {
    backends = await Promise.all([1, 2, 3].map((threads) => cpu({ threads })));
  });
  afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

  const same = async <N extends OpName>(op: N, spec: Spec<N>, values: Values) => {
    const [one, ...others] = await Promise.all(backends.map((backend) => result(backend, op, spec, values)));
    expect(
      one!.some((bytes) => bytes.some((byte) => byte !== 0)),
      `seed ${seed}`,
    ).toBe(true);
    for (const other of others) expect(other, `seed ${seed}`).toEqual(one);
  };

  for (const weight of weightDTypes) {
    for (const rows of [1, 3, 37]) {
      it(`linear, ${weight}, ${rows} rows`, async () => {
        const [width, out] = [608, 203];
        const bytes = bytesOf(weight, [out, width]);
        const matrix = weight === "f32" ? numbers(out * width, 1) : weights(bytes, 1);
        await same(
          "linear",
          { rows, width, out, weight },
          { x: numbers(rows * width, 2), weight: matrix, out: 4 * rows * out },
        );
      });
    }
  }

  const heads = { queryHeads: 6, kvHeads: 2, headSize: 24 };
  const arenaRows = 3000;
  const rowsOf = (kv: "f32" | "bf16" | "f16", salt: number) =>
    kv === "f32" ? numbers(arenaRows * 24, salt) : weights(2 * arenaRows * 24, salt);
  const place = { offset: Int32Array.of(0, 1500), length: Int32Array.of(1402, 933) };
  for (const kv of ["f32", "bf16", "f16"] as const) {
    it(`decodeAttention, ${kv}`, async () => {
      const spec = { sequences: 1, ...heads, arenaRows, capacity: 1403, kv, scale: 0.2, softcap: 0 };
      const rows = { keys: rowsOf(kv, 3), values: rowsOf(kv, 4), ...place, ended: Int32Array.of(0) };
      await same("decodeAttention", spec, { qkv: numbers(10 * 24, 5), ...rows, out: 4 * 6 * 24, lse: 24 });
    });
    it(`attention, ${kv}`, async () => {
      const spec = { tokens: 90, ...heads, arenaRows, kv, scale: 0.2, softcap: 20 };
      const rows = { keys: rowsOf(kv, 3), values: rowsOf(kv, 4), ...place };
      await same("attention", spec, { qkv: numbers(90 * 10 * 24, 5), ...rows, out: 4 * 90 * 6 * 24, lse: 4 * 90 * 6 });
    });
    for (const tokens of [1, 90]) {
      it(`watch, ${kv}, ${tokens} queries`, async () => {
        const spec = { sequences: 1, tokens, ...heads, arenaRows, capacity: 1500, kv, scale: 0.2, softcap: 0, from: 0 };
        const rows = { keys: rowsOf(kv, 3), ...place, ended: Int32Array.of(0) };
        await same("watch", spec, {
          qkv: numbers(tokens * 10 * 24, 5),
          lse: numbers(tokens * 6, 6),
          ...rows,
          mass: 4 * 6 * 1500,
        });
      });
    }
  }
  it("rmsNorm, gatedActivation, logProbability", async () => {
    await same(
      "rmsNorm",
      { rows: 5, width: 601, epsilon: 1e-6 },
      { x: numbers(5 * 601, 1), weight: numbers(601, 2), out: 4 * 5 * 601 },
    );
    await same("gatedActivation", { rows: 3, width: 701, kind: "gelu" }, { x: numbers(3 * 1402, 1), out: 4 * 3 * 701 });
    await same(
      "logProbability",
      { rows: 3, vocabulary: 5003 },
      { logits: numbers(3 * 5003, 1), ids: Int32Array.of(1, 2, 3), out: 12 },
    );
  });
});

describe("memory", () => {
  it("an allocation beyond the limit names its bytes, those in use and the limit, and the backend continues", async () => {
    for (const shared of [true, false]) {
      const backend = await cpu({ threads: 1, shared, maxBytes: 2 ** 22 });
      const small = backend.allocate(2 ** 20, "small");
      const large = backend.allocate(2 ** 22, "large");
      const error = await backend.synchronise().catch((error: unknown) => error);
      expect(error).toBeInstanceOf(OutOfMemoryError);
      expect(String(error)).toMatch(/4194304 bytes for large, with 1048576 of 4194304 in use/);
      await expect(backend.read({ buffer: large, offset: 0 }, 4)).rejects.toBeInstanceOf(OutOfMemoryError);
      backend.free(large);
      backend.free(backend.allocate(2 ** 22, "given back"));
      await backend.synchronise();
      backend.write({ buffer: small, offset: 0 }, Int32Array.of(5));
      expect(new Int32Array((await backend.read({ buffer: small, offset: 0 }, 4)).buffer)[0]).toBe(5);
      await backend.dispose();
    }
  });

  it("keeps commands that find no memory for their batch, and runs them once memory is free", async () => {
    for (const shared of [true, false]) {
      const backend = await cpu({ threads: 1, shared, maxBytes: 2 ** 20 });
      const kernel = await backend.prepare("copy", { words: 1 });
      const [x, out] = [backend.allocate(4, "test"), backend.allocate(4, "test")];
      const fullUp: Buffer[] = [];
      for (let bytes = 2 ** 19; bytes >= 64; bytes /= 2) {
        for (let index = 0; index < 3; index++) fullUp.push(backend.allocate(bytes, "test"));
      }
      await backend.synchronise().catch(() => {});
      backend.write({ buffer: x, offset: 0 }, Int32Array.of(7));
      for (let index = 0; index < 6000; index++)
        backend.dispatch(kernel, { x: { buffer: x, offset: 0 }, out: { buffer: out, offset: 0 } });
      await expect(backend.read({ buffer: out, offset: 0 }, 4)).rejects.toBeInstanceOf(OutOfMemoryError);
      for (const buffer of fullUp) backend.free(buffer);
      expect(new Int32Array((await backend.read({ buffer: out, offset: 0 }, 4)).buffer)[0]).toBe(7);
      await backend.dispose();
    }
  });

  it("uses again what was freed, in pieces of any size, without mixing up commands that are under way", async () => {
    const backend = await cpu({ threads: 2, maxBytes: 2 ** 26 });
    const fill = await backend.prepare("fill", { words: 2 ** 18, dtype: "i32", value: 3 });
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 200; i++) {
      const scratch = backend.allocate(2 ** 20, "scratch");
      backend.dispatch(fill, { out: { buffer: scratch, offset: 0 } });
      backend.free(scratch);
      const bytes = 4 * (1 + ((i * 7919) % 100_000));
      const buffer = backend.allocate(bytes, "data");
      const data = new Int32Array(bytes / 4).fill(i);
      backend.write({ buffer, offset: 0 }, data);
      const check = (got: Uint8Array<ArrayBuffer>) =>
        expect(
          new Int32Array(got.buffer).every((word) => word === i),
          `round ${i}`,
        ).toBe(true);
      waiting.push(backend.read({ buffer, offset: 0 }, bytes).then(check));
      if (i % 3 > 0) backend.free(buffer);
    }
    await Promise.all(waiting);
    expect(backend.memory().reserved).toBeGreaterThanOrEqual(backend.memory().live);
    await backend.dispose();
  });

  it("reuses outgrown scratch memory only after the commands that use it", async () => {
    const backend = await cpu({ threads: 1 });
    const place = (bytes: number) => ({ buffer: backend.allocate(bytes, "test"), offset: 0 });
    const [words, width, out] = [2 ** 22, 2048, 4];
    const target = place(4 * words);
    const fill = await backend.prepare("fill", { words, dtype: "i32", value: 7 });
    const linear = await backend.prepare("linear", { rows: 1, width, out, weight: "f32" });
    const operands = { x: place(4 * width), weight: place(4 * width * out), out: place(4 * out) };
    await backend.synchronise();
    // Some tenths of a second of work, so that everything below is enqueued before `linear` writes 8 KiB of scratch.
    for (let i = 0; i < 50; i++) backend.dispatch(fill, { out: target });
    backend.dispatch(linear, operands);
    await backend.prepare("linear", { rows: 1, width: 4 * width, out, weight: "f32" });
    // The target is at work, so what is written waits elsewhere: not in the old scratch memory, which it would fit
    // best.
    const data = new Uint8Array(numbers(1500, 1).buffer);
    backend.write(target, data);
    expect(await backend.read(target, data.length), `seed ${seed}`).toEqual(data);
    await backend.dispose();
  });

  it("holds no more after a thousand rounds than after ten", async () => {
    const backend = await cpu({ threads: 1 });
    const reserved: number[] = [];
    for (let i = 0; i < 1000; i++) {
      const buffers = [1000, 70_000, 300_000].map((bytes) => backend.allocate(bytes + (i % 7) * 64, "round"));
      backend.write({ buffer: buffers[1]!, offset: 0 }, new Uint8Array(60_000));
      for (const buffer of buffers) backend.free(buffer);
      if (i % 10 === 9) await backend.synchronise();
      reserved.push(backend.memory().reserved);
    }
    expect(backend.memory().live).toBe(0);
    expect(reserved[999]! - reserved[9]!).toBeLessThanOrEqual(2 ** 22);
    await backend.dispose();
  });
});

describe("options", () => {
  const wrong: readonly (readonly [string, CpuOptions])[] = [
    ["threads is 0", { threads: 0 }],
    ["threads is 1.5", { threads: 1.5 }],
    ["threads is NaN", { threads: Number.NaN }],
    ["threads is 1000", { threads: 1000 }],
    ["maxBytes is 12", { maxBytes: 12 }],
    ["maxBytes is 8589934592", { maxBytes: 2 ** 33 }],
    ["simd is avx", { simd: "avx" as "base" }],
  ];
  for (const [what, options] of wrong) {
    it(`says what is wrong: ${what}`, async () => {
      const error = await cpu(options).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(CpuError);
      expect(String(error)).toContain(what);
    });
  }
});

describe("threads", () => {
  it("leaves the caller's thread free", async () => {
    const backend = await cpu({ threads: 1 });
    const [rows, width, out] = [512, 1024, 1024];
    const slice = (bytes: number) => ({ buffer: backend.allocate(bytes, "test"), offset: 0 });
    const kernel = await backend.prepare("linear", { rows, width, out, weight: "f32" });
    const operands = { x: slice(4 * rows * width), weight: slice(4 * width * out), out: slice(4 * rows * out) };
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    for (let i = 0; i < 20; i++) backend.dispatch(kernel, operands);
    await backend.synchronise();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
    await backend.dispose();
  });

  it("rejects, and can still be disposed of, when a worker fails", async () => {
    for (const shared of [true, false]) {
      const backend = await cpu({ threads: 2, shared });
      const slice = (...words: number[]) => {
        const place = { buffer: backend.allocate(64, "test"), offset: 0 };
        backend.write(place, Int32Array.from(words));
        return place;
      };
      // Offsets are trusted: this one points beyond the memory.
      const sizes = { heads: 1, most: 1, headSize: 8, arenaRows: 1, targetRows: 1, planes: 1 };
      const kernel = await backend.prepare("gather", { ...sizes, kv: "f32" });
      backend.dispatch(kernel, {
        ...{ keys: slice(), offset: slice(0x4000000), rows: slice(0), count: slice(1) },
        ...{ targetKeys: slice(), targetOffset: slice(0), targetLength: slice() },
      });
      await expect(backend.synchronise()).rejects.toBeInstanceOf(CpuError);
      await expect(backend.synchronise()).rejects.toThrow(/out of bounds/);
      await expect(backend.read(slice(), 4)).rejects.toBeInstanceOf(CpuError);
      await backend.dispose();
    }
  });

  it("does not keep a process alive that is done with it, nor let one end that waits for it", async () => {
    const code = `
      import { cpu } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
      const backend = await cpu({ threads: 2 });
      const out = { buffer: backend.allocate(2 ** 24, "test"), offset: 0 };
      const kernel = await backend.prepare("fill", { words: 2 ** 22, dtype: "i32", value: 7 });
      for (let i = 0; i < 20; i++) backend.dispatch(kernel, { out });
      console.log(new Int32Array((await backend.read(out, 4)).buffer)[0]);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    child.stdout.on("data", (text: Buffer) => {
      printed += text.toString();
    });
    const status = await new Promise((resolve) => child.on("exit", resolve));
    expect(status).toBe(0);
    expect(printed.trim()).toBe("7");
  });
});
