import {
  type Backend,
  type Buffer,
  catalogue,
  checkSpec,
  fromBFloat16,
  fromFloat16,
  type OpName,
  operandBytes,
  opNames,
  reference,
  type Slice,
  toBFloat16,
  toFloat16,
} from "@ziggurat/tensor";
import {
  ConformanceError,
  cases,
  nullBackend,
  ReadRefusedError,
  runCase,
  testContract,
  toBeAllclose,
} from "@ziggurat/testing";
import { describe, expect, it } from "vitest";
import "./matchers.js";

testContract(async () => reference());

type Loose = Readonly<Record<string, unknown>>;
type Slices = Readonly<Record<string, Slice>>;

/** What a faulty kernel may touch: what the host wrote into a table, a table of its own, and writes past the op. */
interface Bench {
  words(slice: Slice): Int32Array;
  table(words: ArrayLike<number>): Slice;
  write(slice: Slice, data: ArrayBufferView): void;
}
interface Fault {
  readonly name: string;
  readonly op: OpName;
  readonly spec?: (spec: Loose) => Loose;
  readonly operands?: (operands: Slices, bench: Bench, spec: Loose) => Slices;
  readonly after?: (operands: Slices, bench: Bench, spec: Loose) => void;
}

/** The reference with one kernel that is wrong. */
function broken({ op, spec: twist = (spec) => spec, operands: swap = (operands) => operands, after }: Fault): Backend {
  const backend = reference();
  const written = new Map<Buffer, Uint8Array>();
  const bench: Bench = {
    words: ({ buffer, offset }) =>
      new Int32Array(written.get(buffer)!.slice(offset, offset + 4 * Math.floor((buffer.bytes - offset) / 4)).buffer),
    table(words) {
      const slice = { buffer: backend.allocate(4 * words.length, "fault"), offset: 0 };
      backend.write(slice, Int32Array.from(words));
      return slice;
    },
    write: (slice, data) => backend.write(slice, data),
  };
  return {
    ...backend,
    write(target, data) {
      backend.write(target, data);
      written.set(target.buffer, new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice());
    },
    dispatch(kernel, operands) {
      if (kernel.op !== op) return backend.dispatch(kernel, operands);
      const spec = kernel.spec as unknown as Loose;
      const given = operands as unknown as Slices;
      const wrong = { op, spec: twist(spec) } as unknown as typeof kernel;
      backend.dispatch(wrong, swap(given, bench, spec) as unknown as typeof operands);
      after?.(given, bench, spec);
    },
  };
}

const zeros = (operands: Slices, name: string, bench: Bench) => ({
  ...operands,
  [name]: bench.table(bench.words(operands[name]!).map(() => 0)),
});
const flip = (flag: string) => (spec: Loose) => ({ ...spec, [flag]: spec[flag] !== true });
const scaled = (name: string, by: number) => (spec: Loose) => ({ ...spec, [name]: (spec[name] as number) * by });

const faults: readonly Fault[] = [
  {
    name: "ties go to the higher position",
    op: "topk",
    operands: (operands, bench) => ({
      ...operands,
      positions: bench.table(bench.words(operands.positions!).map((p) => -p)),
    }),
  },
  { name: "positions of another head", op: "topk", operands: (operands, bench) => zeros(operands, "offset", bench) },
  {
    name: "rows are off by one",
    op: "gather",
    operands: (operands, bench) => ({
      ...operands,
      rows: bench.table(bench.words(operands.rows!).map((row) => Math.max(0, row - 1))),
    }),
  },
  { name: "ranks are not renumbered", op: "gather", spec: (spec) => ({ ...spec, ranks: false }) },
  { name: "the offset is ignored", op: "attention", operands: (operands, bench) => zeros(operands, "offset", bench) },
  { name: "past rows are ignored", op: "attention", operands: (operands, bench) => zeros(operands, "length", bench) },
  { name: "the window is ignored", op: "attention", spec: (spec) => ({ ...spec, window: 0 }) },
  {
    name: "the window is off by one",
    op: "attention",
    spec: (spec) => ({ ...spec, window: spec.window ? (spec.window as number) + 1 : 0 }),
  },
  { name: "the cap is ignored", op: "attention", spec: (spec) => ({ ...spec, softcap: 0 }) },
  { name: "the scale is 1 % off", op: "attention", spec: scaled("scale", 1.01) },
  {
    name: "the end of a sequence is ignored",
    op: "decodeAttention",
    operands: (operands, bench) => zeros(operands, "ended", bench),
  },
  { name: "keys stay unrotated", op: "decodeAttention", spec: (spec) => ({ ...spec, slot: false }) },
  {
    name: "the end of a sequence is ignored",
    op: "append",
    operands: (operands, bench) => zeros(operands, "ended", bench),
  },
  { name: "ranks are not counted", op: "append", spec: (spec) => ({ ...spec, ranks: false }) },
  { name: "every query is watched", op: "watch", spec: (spec) => ({ ...spec, from: 0 }) },
  {
    name: "the sums of before are lost",
    op: "watch",
    after: ({ mass }, bench, spec) =>
      bench.write(mass!, new Float32Array((spec.capacity as number) * (spec.queryHeads as number))),
  },
  { name: "holes are filled where order was asked", op: "evict", spec: flip("ordered") },
  { name: "ranks are not lowered", op: "evict", spec: (spec) => ({ ...spec, ranks: false }) },
  { name: "the length is ignored", op: "reduce", spec: (spec) => ({ ...spec, ragged: false }) },
  {
    name: "the kernel is two entries wider",
    op: "pool",
    spec: (spec) => ({ ...spec, kernel: (spec.kernel as number) + 2 }),
  },
  { name: "the head's number is ignored", op: "hash", spec: (spec) => ({ ...spec, kvHeads: 1 }) },
  { name: "keys stay unrotated", op: "load", spec: (spec) => ({ ...spec, rotate: false }) },
  {
    name: "the end of a sequence is ignored",
    op: "store",
    operands: (operands, bench) => zeros(operands, "ended", bench),
  },
  { name: "the bias is dropped", op: "linear", spec: (spec) => ({ ...spec, bias: false }) },
  { name: "the residual is dropped", op: "linear", spec: (spec) => ({ ...spec, residual: false }) },
  { name: "epsilon is a hundred times too large", op: "rmsNorm", spec: scaled("epsilon", 100) },
  { name: "the scale is off by 1e-4", op: "embed", spec: scaled("scale", 1.0001) },
  { name: "keys are not turned", op: "rope", spec: (spec) => ({ ...spec, keys: false }) },
  {
    name: "half of the numbers are turned",
    op: "rope",
    spec: (spec) => ({ ...spec, rotary: Math.max(2, (spec.rotary as number) / 2) }),
  },
  { name: "silu instead of gelu", op: "gatedActivation", spec: (spec) => ({ ...spec, kind: "silu" }) },
  { name: "history is ignored", op: "sample", spec: (spec) => ({ ...spec, history: false }) },
  { name: "the seed is ignored", op: "sample", operands: (operands, bench) => zeros(operands, "seeds", bench) },
  {
    name: "stops are ignored",
    op: "sample",
    operands: (operands, bench) => ({ ...operands, stops: bench.table(bench.words(operands.stops!).map(() => -1)) }),
  },
  { name: "<= for <", op: "binary", spec: (spec) => ({ ...spec, kind: spec.kind === "lt" ? "le" : spec.kind }) },
];

/** The first failure of an op's cases on a backend. */
async function failure(backend: Backend, op: OpName, seed = 1): Promise<unknown> {
  for (const test of cases.filter((candidate) => candidate.op === op)) {
    try {
      await runCase(backend, test, seed);
    } catch (error) {
      return error;
    }
  }
  return undefined;
}

describe("the conformance cases", () => {
  it("are there for every op, each under a name of its own", () => {
    expect(new Set(cases.map(({ op }) => op))).toEqual(new Set(opNames));
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  it("set every boolean attribute, and each dtype, somewhere", () => {
    for (const op of opNames) {
      const specs = cases.filter((test) => test.op === op).map(({ spec }) => spec);
      for (const [attribute, kind] of Object.entries(catalogue[op].attributes)) {
        const values = new Set(specs.map((spec) => spec[attribute] ?? false));
        if (kind === "boolean") expect([op, attribute, values.size]).toEqual([op, attribute, 2]);
        else if (kind !== "number") expect(values).toEqual(new Set(kind as readonly string[]));
      }
      for (const [parameter, dtypes] of Object.entries(catalogue[op].dtypes)) {
        expect(new Set(specs.map((spec) => spec[parameter]))).toEqual(new Set(dtypes));
      }
    }
  });

  it.each(faults.map((fault) => [fault.op, fault.name, fault] as const))(
    "catch a faulty %s: %s",
    async (op, _, fault) => {
      const error = await failure(broken(fault), op);
      expect(error).toBeInstanceOf(ConformanceError);
      expect((error as Error).message).toMatch(/seed 1$/);
    },
  );

  it.each(opNames)("catch a %s that writes one word too far", async (op) => {
    const [name, rule] =
      Object.entries(catalogue[op].operands).findLast(
        ([, { access, ...rest }]) => access !== "read" && !("when" in rest),
      ) ?? [];
    const fault: Fault = {
      name: "beyond",
      op,
      after(operands, bench, spec) {
        const written = name ?? "values";
        const slice = operands[written];
        if (!slice) return;
        const bytes = operandBytes(rule ?? catalogue.append.operands.values, spec as never, spec as never);
        bench.write({ buffer: slice.buffer, offset: slice.offset + 4 * Math.ceil(bytes / 4) }, Int32Array.of(1));
      },
    };
    expect(await failure(broken(fault), op)).toBeInstanceOf(ConformanceError);
  });

  it("catch a backend that writes what it should read", async () => {
    const fault: Fault = {
      name: "",
      op: "rmsNorm",
      after: ({ weight }, bench) => bench.write(weight!, Float32Array.of(3)),
    };
    expect(await failure(broken(fault), "rmsNorm")).toBeInstanceOf(ConformanceError);
  });

  const coarse = (op: OpName, name: string, round: (spec: Loose) => (x: Float32Array) => ArrayLike<number>): Fault => ({
    name: "coarse",
    op,
    operands(operands, bench, spec) {
      const words = Float32Array.from(round(spec)(new Float32Array(bench.words(operands[name]!).buffer)));
      return { ...operands, [name]: bench.table(new Int32Array(words.buffer)) };
    },
  });
  /**
   * What a fast kernel may do to activations: 16 bits with 16-bit weights or rows, 8 bits a block of 32 with quantised
   * weights.
   */
  const rounded = (dtype: unknown) => (x: Float32Array) => {
    if (dtype === "f32") return x;
    if (dtype === "f16") return x.map((value) => fromFloat16(toFloat16(value)));
    if (dtype === "bf16") return x.map((value) => fromBFloat16(toBFloat16(value)));
    const scales: number[] = [];
    for (let i = 0; i < x.length; i += 32)
      scales.push(x.subarray(i, i + 32).reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
    return x.map((value, i) => Math.round(value / (scales[i >> 5]! || 1)) * scales[i >> 5]!);
  };
  it.each([
    ["linear", "x", "weight"],
    ["attention", "qkv", "kv"],
    ["decodeAttention", "qkv", "kv"],
    ["watch", "qkv", "kv"],
  ] as const)("admit a %s that rounds activations as it may", async (op, operand, dtype) => {
    const backend = broken(coarse(op, operand, (spec) => rounded(spec[dtype])));
    expect(await failure(backend, op)).toBeUndefined();
  });

  it("admit a sample whose probabilities are those of float32", async () => {
    const backend = broken(coarse("sample", "logits", () => (x) => x.map((value) => value * (1 + 5e-7))));
    for (let seed = 1; seed <= 5; seed++) expect(await failure(backend, "sample", seed)).toBeUndefined();
  });

  it("pass where nothing is broken", async () => {
    for (const op of ["topk", "append", "reduce", "pool", "load"] as const)
      expect(await failure(reference(), op)).toBeUndefined();
  });
});

describe("the null backend", () => {
  it("counts bytes, checks what it is given, runs nothing and refuses to read", async () => {
    const backend = nullBackend();
    const buffer = backend.allocate(16, { a: 12, b: 4 });
    const slice = { buffer, offset: 0 };
    backend.write(slice, new Float32Array(4));
    expect(() => backend.write({ buffer, offset: 4 }, new Float32Array(4))).toThrow(/16 bytes from byte 4/);
    const kernel = await backend.prepare("fill", { words: 4, dtype: "f32", value: 1 });
    const program = backend.record(() => backend.dispatch(kernel, { out: slice }));
    expect(program.dispatches).toBe(1);
    backend.replay(program);
    expect(() => backend.dispatch(kernel, { out: { buffer, offset: 4 } })).toThrow(/needs 16 bytes/);
    await expect(backend.prepare("fill", { words: 0, dtype: "f32", value: 1 })).rejects.toThrow(/words is 0/);
    await expect(backend.read(slice, 4)).rejects.toBeInstanceOf(ReadRefusedError);
    expect(backend.memory()).toEqual({
      live: 16,
      peak: 16,
      reserved: 16,
      labels: { a: { live: 12, peak: 12 }, b: { live: 4, peak: 4 } },
    });
    backend.free(buffer);
    expect(() => backend.free(buffer)).toThrow(/was freed/);
    expect(backend.memory()).toMatchObject({ live: 0, peak: 16 });
    backend.release(program);
    expect(() => backend.replay(program)).toThrow(/released/);
  });

  it("knows every op of the catalogue", async () => {
    const backend = nullBackend();
    for (const { op, spec } of cases)
      await expect(backend.prepare(op, spec as never)).resolves.toMatchObject({
        op,
        spec: checkSpec(op, spec as never),
      });
  });
});

describe("toBeAllclose", () => {
  it("allows tolerance x (1 + |expected|)", () => {
    expect([1.001, 100]).toBeAllclose([1, 100.05], { tolerance: 1e-3 });
    expect([1.01]).not.toBeAllclose([1], { tolerance: 1e-3 });
    expect(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY)).toBeAllclose([Number.NaN, Number.POSITIVE_INFINITY]);
    expect([Number.NaN]).not.toBeAllclose([0], { tolerance: 10 });
    expect([1e30]).not.toBeAllclose([Number.POSITIVE_INFINITY], { tolerance: 10 });
    expect([1]).not.toBeAllclose([1, 2]);
  });

  it("says how many are off and which is the worst", () => {
    const { message } = toBeAllclose([1, 2, 9, 4.5], [1, 2, 3, 4]);
    expect(message()).toBe("2 of 4 numbers are off; worst at [2]: 9, expected 3, tolerance 0.00001 x (1 + |expected|)");
    expect(toBeAllclose([1], []).message()).toBe("there are 1 numbers, expected 0");
  });
});
