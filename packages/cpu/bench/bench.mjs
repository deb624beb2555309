// Speed of the kernels against what the machine can do, in one interleaved run: pnpm --filter @ziggurat/cpu bench
// [--rounds 7] [--simd base] [--only gemm] [--threads 1] [--best] Needs the built packages (pnpm build). Prints
// medians; times on a busy machine mean little.
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { bytesOf } from "@ziggurat/tensor";
import { cpu } from "../dist/index.js";
import { streamBytes, yardsticks } from "./yardsticks.mjs";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    simd: { type: "string", default: "auto" },
    only: { type: "string", default: "" },
    best: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
  },
});
const rounds = Number(options.rounds);

const seconds = async (work) => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};
/** Of times: the median, or with --best the least, which is what a busy machine can still tell. */
const typical = (x) => [...x].sort((a, b) => a - b)[options.best ? 0 : x.length >> 1];

const one = await cpu({ threads: 1, simd: options.simd });
const two =
  options.threads !== "1" && availableParallelism() > 1 ? await cpu({ threads: 2, simd: options.simd }) : undefined;
const simd = one.info.features.simd;
const { bare, streams } = await yardsticks(simd);

/** Words that are harmless as floats, halves, scales and whole numbers. */
const somewhat = Uint32Array.from({ length: 1 << 20 }, (_, i) => 0x2c002c00 + ((i * 2654435761) >>> 29) * 0x00010001);

/**
 * A program that runs one op `times` times, on each backend. `fill` gives the first bytes of an operand where zeros
 * will not do.
 */
async function program(backend, op, spec, sizes, times, fill = {}) {
  const operands = Object.fromEntries(
    Object.entries(sizes).map(([name, bytes]) => {
      const buffer = backend.allocate(bytes, "bench");
      backend.write({ buffer, offset: 0 }, (fill[name] ?? somewhat).subarray(0, bytes / 4));
      // Pages that were never written are one page of zeros, which is always in cache.
      for (let at = somewhat.byteLength; at < bytes; at += somewhat.byteLength) {
        backend.write({ buffer, offset: at }, somewhat.subarray(0, Math.min(somewhat.length, (bytes - at) / 4)));
      }
      return [name, { buffer, offset: 0 }];
    }),
  );
  const kernel = await backend.prepare(op, spec);
  const recorded = backend.record(() => {
    for (let i = 0; i < times; i++) backend.dispatch(kernel, operands);
  });
  const run = async () => {
    backend.replay(recorded);
    await backend.synchronise();
  };
  await run();
  return { run, release: () => Object.values(operands).forEach(({ buffer }) => backend.free(buffer)) };
}

const tests = [];
/** `amount`: what one run of the op does, in units of 1e9. */
function test(name, unit, amount, op, spec, sizes, times, fill) {
  if (options.only && !name.startsWith(options.only)) return;
  tests.push({ name, unit, amount: amount * times, op, spec, sizes, times, fill });
}
const gemm = (weight, rows, width, out, times) =>
  test(
    `gemm ${weight} ${rows}x${width}x${out}`,
    "GFLOP/s",
    (2 * rows * width * out) / 1e9,
    "linear",
    { rows, width, out, weight },
    {
      x: 4 * rows * width,
      weight: bytesOf(weight, [out, width]),
      out: 4 * rows * out,
    },
    times,
  );
const gemv = (weight, width, out) => {
  const bytes = bytesOf(weight, [out, width]);
  test(
    `gemv ${weight} ${width}x${out}`,
    "GB/s",
    bytes / 1e9,
    "linear",
    { rows: 1, width, out, weight },
    {
      x: 4 * width,
      weight: bytes,
      out: 4 * out,
    },
    Math.ceil(3e7 / bytes),
  );
};
const heads = { queryHeads: 9, kvHeads: 3, headSize: 64 };
const rowBytes = (kv) => (kv === "f32" ? 4 : 2) * heads.headSize;
/** Queries of a plausible size: products of ones near 0 are subnormal, which is slow. */
const queries = Float32Array.from({ length: 15 * 64 }, (_, i) => Math.sin(i));
const ints = (...values) => Int32Array.of(...values);

for (const weight of ["f32", "bf16", "q8_0", "q4_0"]) gemm(weight, 256, 576, 1536, 1);
gemm("q8_0", 256, 1536, 576, 1);
gemm("q8_0", 256, 576, 192, 4);
for (const weight of ["q8_0", "q4_0", "bf16"]) gemv(weight, 576, 1536);
for (const weight of ["q8_0", "q4_0", "q4_1", "bf16", "f16", "f32"]) gemv(weight, 576, 65536);
gemv("q8_0", 1536, 32768);
for (const kv of ["bf16", "f32"]) {
  const rows = 8192;
  const arena = 3 * rows;
  const place = { offset: 12, length: 12 };
  const at = { offset: ints(0, rows, 2 * rows) };
  test(
    `attention ${kv} 256 after ${rows - 256}`,
    "GFLOP/s",
    (4 * 256 * (rows - 128) * 9 * 64) / 1e9,
    "attention",
    {
      tokens: 256,
      ...heads,
      arenaRows: arena,
      kv,
      scale: 0.125,
      softcap: 0,
    },
    {
      qkv: 4 * 256 * 15 * 64,
      keys: arena * rowBytes(kv),
      values: arena * rowBytes(kv),
      ...place,
      out: 4 * 256 * 9 * 64,
      lse: 4 * 9 * 256,
    },
    1,
    {
      ...at,
      length: ints(rows - 256, rows - 256, rows - 256),
    },
  );
  test(
    `decode ${kv} ${rows}`,
    "GB/s",
    (2 * arena * rowBytes(kv)) / 1e9,
    "decodeAttention",
    {
      sequences: 1,
      ...heads,
      arenaRows: arena,
      capacity: rows,
      kv,
      scale: 0.125,
      softcap: 0,
    },
    {
      qkv: 4 * 15 * 64,
      keys: arena * rowBytes(kv),
      values: arena * rowBytes(kv),
      ...place,
      ended: 4,
      out: 4 * 9 * 64,
      lse: 36,
    },
    8,
    {
      ...at,
      qkv: queries,
      ended: ints(0),
      length: ints(rows - 1, rows - 1, rows - 1),
    },
  );
  for (const [tokens, from] of [
    [256, 0],
    [256, 192],
    [1, 0],
  ]) {
    const pairs = (tokens - from) * (rows - (tokens - from) / 2) * 9;
    test(
      `watch ${kv} ${tokens - from} after ${rows - tokens}`,
      "GFLOP/s",
      (2 * pairs * 64) / 1e9,
      "watch",
      {
        sequences: 1,
        tokens,
        ...heads,
        arenaRows: arena,
        capacity: rows,
        kv,
        scale: 0.125,
        softcap: 0,
        from,
      },
      {
        qkv: 4 * tokens * 15 * 64,
        keys: arena * rowBytes(kv),
        lse: 4 * 9 * tokens,
        ...place,
        ended: 4,
        mass: 4 * 9 * rows,
      },
      tokens === 1 ? 2 : 1,
      {
        ...at,
        ended: ints(0),
        length: ints(rows - tokens, rows - tokens, rows - tokens),
      },
    );
  }
}
test(
  "rmsNorm 256x576",
  "GB/s",
  (8 * 256 * 576) / 1e9,
  "rmsNorm",
  { rows: 256, width: 576, epsilon: 1e-5 },
  { x: 4 * 256 * 576, weight: 4 * 576, out: 4 * 256 * 576 },
  20,
);
test(
  "silu 256x1536",
  "GB/s",
  (12 * 256 * 1536) / 1e9,
  "gatedActivation",
  { rows: 256, width: 1536, kind: "silu" },
  { x: 8 * 256 * 1536, out: 4 * 256 * 1536 },
  10,
);
test("empty 1 word", "M/s", 1e-6, "fill", { words: 1, dtype: "f32", value: 0 }, { out: 4 }, 1000);

const yard = { bare: [], streams: [] };
const results = tests.map(() => ({ one: [], two: [] }));
const programs = [];
for (const { op, spec, sizes, times, fill } of tests) {
  programs.push({
    one: await program(one, op, spec, sizes, times, fill),
    two: two && (await program(two, op, spec, sizes, times, fill)),
  });
}
bare(100, 512, 65536);
streams();
for (let round = 0; round < rounds; round++) {
  let work = 0;
  yard.bare.push(
    await seconds(() => {
      work = bare(200, 512, 65536);
    }),
  );
  yard.work = (2 * work) / 1e9;
  yard.streams.push(
    await seconds(() => {
      streams();
    }),
  );
  for (const [i, { one, two }] of programs.entries()) {
    results[i].one.push(await seconds(one.run));
    if (two) results[i].two.push(await seconds(two.run));
  }
}

console.log(
  `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, Node ${process.versions.node}, ${simd} SIMD, ${options.best ? "best" : "medians"} of ${rounds}`,
);
const flops = yard.work / typical(yard.bare);
const rate = streamBytes / 1e9 / typical(yard.streams);
console.log(
  `bare kernel, 1 thread: ${flops.toFixed(1)} GFLOP/s; a plain loop of four row streams (f32), 1 thread: ${rate.toFixed(1)} GB/s`,
);
for (const [i, { name, unit, amount }] of tests.entries()) {
  const single = amount / typical(results[i].one);
  const both = two ? amount / typical(results[i].two) : Number.NaN;
  const share = unit === "GFLOP/s" ? single / flops : unit === "GB/s" ? single / rate : Number.NaN;
  console.log(
    `${name.padEnd(28)} ${single.toFixed(2).padStart(8)} ${unit.padEnd(8)}${Number.isNaN(share) ? "     " : `${(100 * share).toFixed(0).padStart(4)} %`}   two threads ${both.toFixed(2).padStart(8)}, ${(both / single).toFixed(2)}x`,
  );
}
await one.dispose();
await two?.dispose();
