import { type Backend, bytesOf, type Slice, type WeightDType, weightDTypes } from "@ziggurat/tensor";

/** Matrices in turn: together they exceed the caches of the device. */
const matrices = 8;

export const time = async (backend: Backend, times: number, body: () => void): Promise<number> => {
  // Dispatches are split less once the backend has measured the speed of the device.
  for (let i = 0; i < 12; i++) {
    body();
    await backend.synchronise();
  }
  const program = backend.record(body);
  backend.replay(program);
  await backend.synchronise();
  const since = performance.now();
  for (let i = 0; i < times; i++) backend.replay(program);
  await backend.synchronise();
  const milliseconds = (performance.now() - since) / times;
  backend.release(program);
  return milliseconds;
};

/** Measures matrix products alone: bytes of weights a second for few rows, arithmetic for many. */
export async function matrix(backend: Backend): Promise<void> {
  for (const [out, width] of [
    [2048, 2048],
    [16384, 2048],
    [2048, 8192],
    [4096, 4096],
    [28672, 4096],
    [4096, 14336],
  ] as const) {
    for (const weight of weightDTypes) {
      const line = [`${out} x ${width} ${weight}`.padEnd(20)];
      const bytes = bytesOf(weight, [out, width]);
      const buffers = Array.from({ length: matrices }, () => backend.allocate(bytes, "weights"));
      const at = (index: number): Slice => ({ buffer: buffers[index]!, offset: 0 });
      for (const rows of [1, 4, 16, 512]) {
        const x = { buffer: backend.allocate(4 * rows * width, "x"), offset: 0 };
        const y = { buffer: backend.allocate(4 * rows * out, "y"), offset: 0 };
        const kernel = await backend.prepare("linear", { rows, width, out, weight: weight as WeightDType });
        const all = await time(backend, rows > 100 ? 3 : 20, () =>
          buffers.forEach((_, i) => backend.dispatch(kernel, { x, weight: at(i), out: y })),
        );
        const seconds = all / 1000 / matrices;
        const speed =
          rows > 4
            ? `${((2 * rows * out * width) / seconds / 1e12).toFixed(2)} TFLOP/s`
            : `${(bytes / seconds / 1e9).toFixed(0)} GB/s`;
        line.push(`${rows} rows ${(1e6 * seconds).toFixed(1)} us ${speed}`);
        backend.free(x.buffer);
        backend.free(y.buffer);
      }
      for (const buffer of buffers) backend.free(buffer);
      console.log(line.join("   "));
    }
  }
}

/** Measures attention of one layer alone. */
export async function attention(backend: Backend): Promise<void> {
  for (const [queryHeads, kvHeads, headSize] of [
    [32, 8, 64],
    [32, 8, 128],
  ] as const) {
    for (const rows of [1024, 8192, 32768]) {
      const allocate = (bytes: number): Slice => ({ buffer: backend.allocate(bytes, "attention"), offset: 0 });
      const arenaRows = rows * kvHeads;
      const [keys, values] = [allocate(2 * arenaRows * headSize), allocate(2 * arenaRows * headSize)];
      const offset = allocate(4 * kvHeads);
      const length = allocate(4 * kvHeads);
      const ended = allocate(4);
      backend.write(
        offset,
        Int32Array.from({ length: kvHeads }, (_, head) => head * rows),
      );
      const shape = {
        queryHeads,
        kvHeads,
        headSize,
        arenaRows,
        kv: "f16",
        scale: headSize ** -0.5,
        softcap: 0,
      } as const;
      const step = (tokens: number) => ({
        qkv: allocate(4 * tokens * (queryHeads + 2 * kvHeads) * headSize),
        out: allocate(4 * tokens * queryHeads * headSize),
        lse: allocate(4 * tokens * queryHeads),
      });
      backend.write(length, new Int32Array(kvHeads).fill(rows - 1));
      const decode = await backend.prepare("decodeAttention", { sequences: 1, capacity: rows, ...shape });
      const one = step(1);
      const ms = await time(backend, 50, () =>
        backend.dispatch(decode, { ...one, keys, values, offset, length, ended }),
      );
      const bytes = 4 * arenaRows * headSize;
      const tokens = 512;
      backend.write(length, new Int32Array(kvHeads).fill(rows - tokens));
      const prefill = await backend.prepare("attention", { tokens, ...shape });
      const many = step(tokens);
      const prefillMs = await time(backend, 3, () =>
        backend.dispatch(prefill, { ...many, keys, values, offset, length }),
      );
      const flops = 4 * tokens * queryHeads * headSize * (rows - tokens / 2);
      const watch = await backend.prepare("watch", {
        sequences: 1,
        tokens,
        capacity: rows,
        from: tokens - 32,
        ...shape,
      });
      const mass = allocate(4 * queryHeads * rows);
      const watchMs = await time(backend, 3, () =>
        backend.dispatch(watch, { qkv: many.qkv, keys, lse: many.lse, offset, length, ended, mass }),
      );
      console.log(
        [
          `${queryHeads}/${kvHeads} heads of ${headSize}, ${rows} rows, f16`.padEnd(36),
          `decode ${(1000 * ms).toFixed(1)} us ${(bytes / ms / 1e6).toFixed(0)} GB/s`,
          `prefill of ${tokens} ${prefillMs.toFixed(2)} ms ${(flops / prefillMs / 1e9).toFixed(2)} TFLOP/s`,
          `watch 32 ${(1000 * watchMs).toFixed(0)} us`,
        ].join("   "),
      );
      for (const { buffer } of [
        keys,
        values,
        offset,
        length,
        ended,
        mass,
        ...Object.values(one),
        ...Object.values(many),
      ])
        backend.free(buffer);
    }
  }
}
