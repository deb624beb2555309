import { writeFileSync } from "node:fs";
import {
  type Backend,
  bytesOf,
  type Operands,
  type OpName,
  type Slice,
  type Spec,
  type WeightDType,
} from "@ziggurat/tensor";
import { create } from "./create.js";

// Measures single ops at the shapes of a Llama-3-8B: node bench.mjs [file for the results] [products]
const [file, only] = process.argv.slice(2);
const backend = await create();
const results: Record<string, unknown>[] = [];
const report = (what: string, figures: Readonly<Record<string, number>>) => {
  results.push({ what, ...figures });
  console.log(
    what.padEnd(46),
    Object.entries(figures)
      .map(([unit, value]) => `${value.toPrecision(4)} ${unit}`)
      .join("  "),
  );
};

/** Random bytes that decode to small numbers as 16-bit or 32-bit floats, quants and scales. */
function noise(bytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = 12345;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = (state & 0x83ff83ff) | 0x3c003c00;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}
const sample = noise(1 << 20);
function filled(bytes: number): Slice {
  const buffer = backend.allocate(bytes, "bench");
  for (let at = 0; at < bytes; at += sample.length)
    backend.write({ buffer, offset: at }, sample.subarray(0, Math.min(sample.length, bytes - at)));
  return { buffer, offset: 0 };
}
const words = (values: readonly number[]): Slice => {
  const buffer = backend.allocate(4 * values.length, "bench");
  backend.write({ buffer, offset: 0 }, Int32Array.from(values));
  return { buffer, offset: 0 };
};

/**
 * Milliseconds per call: the median of five runs of a recorded program of `count` calls, which cycle through `sets` of
 * operands.
 */
async function time<N extends OpName>(op: N, spec: Spec<N>, sets: readonly Operands<N>[], count = 50): Promise<number> {
  const kernel = await backend.prepare(op, spec);
  const program = backend.record(() => {
    for (let i = 0; i < count; i++) backend.dispatch(kernel, sets[i % sets.length]!);
  });
  backend.replay(program);
  await backend.synchronise();
  const times: number[] = [];
  for (let run = 0; run < 5; run++) {
    const start = performance.now();
    backend.replay(program);
    await backend.synchronise();
    times.push((performance.now() - start) / count);
  }
  backend.release(program);
  return times.sort((a, b) => a - b)[2]!;
}
const freeAll = (...slices: readonly Slice[]) => {
  for (const { buffer } of slices) backend.free(buffer);
};

async function copyBandwidth(): Promise<void> {
  const words = 1 << 28;
  const [x, out] = [filled(4 * words), filled(4 * words)];
  const ms = await time("copy", { words }, [{ x, out }], 10);
  report("copy 1 GiB", { "GB/s": (8 * words) / ms / 1e6 });
  freeAll(x, out);
}

async function launches(): Promise<void> {
  const out = filled(256);
  report("fill of 64 words, in a graph", {
    us: 1000 * (await time("fill", { words: 64, dtype: "f32", value: 0 }, [{ out }], 500)),
  });
  freeAll(out);
}

async function linear(weight: WeightDType, rows: number, width: number, outs: number): Promise<void> {
  const bytes = bytesOf(weight, [outs, width]);
  // Enough copies to exceed the cache.
  const copies = Math.max(1, Math.min(16, Math.ceil(2 ** 29 / bytes)));
  const weights = Array.from({ length: copies }, () => filled(bytes));
  const [x, out] = [filled(4 * rows * width), filled(4 * rows * outs)];
  const sets = weights.map((slice) => ({ x, weight: slice, out }));
  const ms = await time("linear", { rows, width, out: outs, weight }, sets, rows > 64 ? 4 : 32);
  report(`linear ${weight} ${rows} x ${width} -> ${outs}`, {
    us: 1000 * ms,
    "GB/s": bytes / ms / 1e6,
    "TFLOP/s": (2 * rows * width * outs) / ms / 1e9,
  });
  freeAll(x, out, ...weights);
}

async function decode(sequences: number, rows: number, slot = false): Promise<void> {
  const [queryHeads, kvHeads, headSize] = [32, 8, 128];
  const heads = sequences * kvHeads;
  const arenaRows = heads * rows;
  const bytes = 2 * arenaRows * headSize;
  const copies = Math.max(1, Math.min(8, Math.ceil(2 ** 28 / bytes)));
  const arenas = Array.from({ length: copies }, () => ({ keys: filled(bytes), values: filled(bytes) }));
  const rest = {
    qkv: filled(4 * sequences * (queryHeads + 2 * kvHeads) * headSize),
    offset: words(Array.from({ length: heads }, (_, h) => h * rows)),
    length: words(new Array<number>(heads).fill(rows - 1)),
    ended: words(new Array<number>(sequences).fill(0)),
    out: filled(4 * sequences * queryHeads * headSize),
    lse: filled(4 * sequences * queryHeads),
  };
  const places = slot
    ? { cells: words(Array.from({ length: 2 * arenaRows }, (_, i) => i % rows)), table: filled(4 * rows * headSize) }
    : {};
  const spec = {
    sequences,
    queryHeads,
    kvHeads,
    headSize,
    arenaRows,
    capacity: rows,
    kv: "bf16",
    scale: headSize ** -0.5,
    softcap: 0,
  } as const;
  const turned = slot ? { slot, planes: 2, rotary: headSize, tableRows: rows } : {};
  const ms = await time(
    "decodeAttention",
    { ...spec, ...turned },
    arenas.map((arena) => ({ ...arena, ...rest, ...places })),
    32,
  );
  report(`decodeAttention bf16 ${sequences} x 32/8 x 128, ${rows} rows${slot ? ", slots" : ""}`, {
    us: 1000 * ms,
    "GB/s": (2 * bytes) / ms / 1e6,
  });
  freeAll(...Object.values(rest), ...Object.values(places), ...arenas.flatMap(({ keys, values }) => [keys, values]));
}

async function prefill(tokens: number, past: number): Promise<void> {
  const [queryHeads, kvHeads, headSize] = [32, 8, 128];
  const rows = tokens + past;
  const arenaRows = kvHeads * rows;
  const operands = {
    qkv: filled(4 * tokens * (queryHeads + 2 * kvHeads) * headSize),
    keys: filled(2 * arenaRows * headSize),
    values: filled(2 * arenaRows * headSize),
    offset: words(Array.from({ length: kvHeads }, (_, h) => h * rows)),
    length: words(new Array<number>(kvHeads).fill(past)),
    out: filled(4 * tokens * queryHeads * headSize),
    lse: filled(4 * tokens * queryHeads),
  };
  const spec = {
    tokens,
    queryHeads,
    kvHeads,
    headSize,
    arenaRows,
    kv: "bf16",
    scale: headSize ** -0.5,
    softcap: 0,
  } as const;
  const ms = await time("attention", spec, [operands], 2);
  const flops = 4 * queryHeads * headSize * tokens * (past + tokens / 2);
  report(`attention bf16 32/8 x 128, ${tokens} tokens after ${past}`, { us: 1000 * ms, "TFLOP/s": flops / ms / 1e9 });
  freeAll(...Object.values(operands));
}

/** Measures a watch of the last `queries` of `tokens`, then topk and gather of the rows that a policy keeps. */
async function observing(tokens: number, past: number, queries: number): Promise<void> {
  const [queryHeads, kvHeads, headSize] = [32, 8, 128];
  const rows = tokens + past;
  const arenaRows = kvHeads * rows;
  const [most, targetRows] = [3932, 3932 * kvHeads];
  const lse = backend.allocate(4 * tokens * queryHeads, "bench");
  backend.write({ buffer: lse, offset: 0 }, new Float32Array(tokens * queryHeads).fill(10));
  const heads = words(Array.from({ length: kvHeads }, (_, h) => h * rows));
  const operands = {
    qkv: filled(4 * tokens * (queryHeads + 2 * kvHeads) * headSize),
    keys: filled(2 * arenaRows * headSize),
    lse: { buffer: lse, offset: 0 },
    offset: heads,
    length: words(new Array<number>(kvHeads).fill(past)),
    ended: words([0]),
    mass: filled(4 * rows * queryHeads),
  };
  const sizes = {
    sequences: 1,
    tokens,
    queryHeads,
    kvHeads,
    headSize,
    arenaRows,
    capacity: rows,
    kv: "bf16",
    scale: headSize ** -0.5,
    softcap: 0,
  } as const;
  const from = tokens - queries;
  const ms = await time("watch", { ...sizes, from }, [operands], 4);
  const flops = 2 * queryHeads * headSize * queries * (rows - queries / 2);
  report(`watch bf16 32/8 x 128, ${queries} queries, ${rows} rows`, { us: 1000 * ms, "TFLOP/s": flops / ms / 1e9 });
  const length = words(new Array<number>(kvHeads).fill(rows));
  const scores = filled(4 * kvHeads * rows);
  const [chosen, count] = [filled(4 * kvHeads * most), filled(4 * kvHeads)];
  const positions = words(Array.from({ length: arenaRows }, (_, i) => i % rows));
  const choice = {
    scores,
    positions,
    offset: heads,
    length,
    keep: words(new Array<number>(kvHeads).fill(most)),
    rows: chosen,
    count,
  };
  report(`topk ${most} of ${rows}, 8 heads`, {
    us: 1000 * (await time("topk", { heads: kvHeads, capacity: rows, most, arenaRows }, [choice], 20)),
  });
  const target = {
    targetKeys: filled(2 * targetRows * headSize),
    targetValues: filled(2 * targetRows * headSize),
    targetCells: filled(4 * targetRows),
    targetOffset: words(Array.from({ length: kvHeads }, (_, h) => h * most)),
    targetLength: words(new Array<number>(kvHeads).fill(0)),
  };
  const moved = {
    keys: operands.keys,
    values: operands.keys,
    cells: positions,
    offset: heads,
    rows: chosen,
    count,
    ...target,
  };
  const spec = { heads: kvHeads, most, headSize, arenaRows, targetRows, planes: 1, kv: "bf16", values: true } as const;
  report(`gather ${most} of ${rows}, 8 heads`, { us: 1000 * (await time("gather", spec, [moved], 20)) });
  freeAll(
    ...Object.values(operands).filter((slice) => slice !== heads),
    ...Object.values(choice),
    ...Object.values(target),
  );
}

async function products(): Promise<void> {
  for (const rows of [16, 32, 64, 128, 256, 512, 2048])
    for (const [width, outs] of [
      [4096, 6144],
      [4096, 4096],
      [4096, 28672],
      [14336, 4096],
    ] as const)
      await linear("bf16", rows, width, outs);
}

async function all(_: Backend): Promise<void> {
  await copyBandwidth();
  await launches();
  for (const [width, outs] of [
    [4096, 6144],
    [4096, 4096],
    [4096, 28672],
    [14336, 4096],
    [4096, 128256],
  ] as const)
    await linear("bf16", 1, width, outs);
  for (const weight of ["q8_0", "q4_0"] as const)
    for (const [width, outs] of [
      [4096, 6144],
      [4096, 28672],
    ] as const)
      await linear(weight, 1, width, outs);
  for (const rows of [2, 8, 16, 32, 64, 128]) await linear("bf16", rows, 4096, 28672);
  for (const [width, outs] of [
    [4096, 6144],
    [4096, 4096],
    [14336, 4096],
  ] as const)
    await linear("bf16", 64, width, outs);
  for (const weight of ["q8_0", "q4_0"] as const)
    for (const rows of [8, 16, 64, 2048]) await linear(weight, rows, 4096, 28672);
  for (const [width, outs] of [
    [576, 576],
    [576, 3072],
    [1536, 576],
    [2048, 2048],
  ] as const)
    await linear("bf16", 1, width, outs);
  await products();
  for (const [sequences, rows] of [
    [1, 3932],
    [1, 32768],
    [64, 3932],
  ] as const)
    await decode(sequences, rows);
  await decode(1, 3932, true);
  await prefill(2048, 0);
  await prefill(2048, 30720);
  await observing(2048, 30720, 32);
  await observing(2048, 30720, 2048);
}

console.log(backend.info.device, JSON.stringify(backend.info.features));
await (only === "products" ? products() : all(backend));
console.log(`${(backend.memory().reserved / 2 ** 30).toFixed(2)} GiB reserved`);
await backend.dispose();
if (file) writeFileSync(file, JSON.stringify({ device: backend.info, results }, undefined, 1));
