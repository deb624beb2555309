import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { h2o } from "@ziggurat/h2o";
import { generate, loadModel, type Model } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { type Backend, OutOfMemoryError } from "@ziggurat/tensor";
import { describe, expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { DeviceLostError, WebGpuError } from "../src/index.js";
import { adapterThere } from "./gpu.js";
import { opened } from "./support/opened.js";

const prompt = randomIds(40, 1);
const load = (backend: Backend) => loadModel(checkpoint().files, { backend, rows: "f32" });
const answer = (model: Model) =>
  generate({ model, policy: h2o({ keep: 10 }), prompt, maxTokens: 12, ignoreEnd: true, readEvery: 2 });

/** Live bytes by label, without labels that have none. */
const live = (backend: Backend) =>
  Object.fromEntries(
    Object.entries(backend.memory().labels).flatMap(([label, { live }]) => (live > 0 ? [[label, live]] : [])),
  );
const nothing = { live: 0, reserved: 0 };

/** SwiftShader compiles all kernels again for every new device, which takes seconds on a busy machine. */
const patience = 300_000;

describe("a device that is lost", () => {
  const ways: readonly ((model: Model, device: GPUDevice) => Promise<unknown>)[] = [
    async function whileWriting(model, device) {
      const generation = answer(model);
      for await (const { ids } of generation) if (ids.length > 1) device.destroy();
      return generation.result;
    },
    function whileReading(model, device) {
      const onProgress = (done: number) => void (done > 0.5 && device.destroy());
      return generate({ model, policy: snapkv({ keep: 20, window: 4 }), prompt, onProgress }).result;
    },
  ];
  testWith(
    adapterThere,
    "is reported by name from then on, its model can be freed, and the model answers as before on a new device",
    async () => {
      const told: (readonly number[])[] = [];
      for (const lose of ways) {
        const { backend, device } = await opened();
        const model = await load(backend);
        told.push((await answer(model).result).ids);
        await expect(lose(model, device), lose.name).rejects.toThrow(DeviceLostError);
        await expect(backend.synchronise()).rejects.toThrow(/the device was lost \(destroyed\)/);
        await expect(answer(model).result).rejects.toThrow(DeviceLostError);
        await expect(
          backend.prepare("fill", { words: 99, dtype: "f32", value: 3 }).then(() => backend.synchronise()),
        ).rejects.toThrow(DeviceLostError);
        expect(Object.keys(live(backend)).sort()).toEqual(["rope", "weights"]);
        model.free();
        expect(live(backend)).toEqual({});
        await backend.dispose();
        expect(backend.memory()).toMatchObject(nothing);
      }
      expect(told[1]).toEqual(told[0]);
    },
    patience,
  );

  testWith(adapterThere, "during loading leaves no bytes allocated", async () => {
    const { backend, device } = await opened();
    const loading = loadModel(checkpoint().files, { backend, onProgress: () => device.destroy() });
    await expect(loading.then((model) => answer(model).result)).rejects.toThrow(DeviceLostError);
    await backend.dispose();
    expect(backend.memory()).toMatchObject(nothing);
  });
});

testWith(
  adapterThere,
  "invalid sizes, errors of the device and aborts are reported once and leak nothing; dispose frees every byte",
  async () => {
    const { backend, device } = await opened();
    const model = await load(backend);
    const { ids } = await answer(model).result;
    const works = async () => expect((await answer(model).result).ids).toEqual(ids);
    const before = live(backend);
    expect(before.weights).toBeGreaterThan(0);

    const { maxBufferSize } = device.limits;
    const buffer = backend.allocate(maxBufferSize + 4, "cache");
    backend.write({ buffer, offset: 0 }, new Float32Array(4));
    const refused = `allocate: ${maxBufferSize + 4} bytes for cache, with \\d+ in use; a buffer of this device holds ${maxBufferSize}`;
    await expect(backend.synchronise()).rejects.toThrow(new RegExp(refused));
    await backend.synchronise();
    backend.free(buffer);
    expect(live(backend)).toEqual(before);
    await works();

    // No buffer may be mapped for reading and be storage.
    device.createBuffer({ size: 16, usage: 1 | 128 });
    await device.queue.onSubmittedWorkDone();
    const error = await backend.synchronise().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(WebGpuError);
    expect(String(error)).toMatch(/^WebGpuError: the device reports: /);
    await works();

    for (const at of [0.3, 0.8]) {
      const controller = new AbortController();
      const onProgress = (done: number) => void (done > at && controller.abort(new Error(`at ${at}`)));
      const aborted = generate({
        model,
        policy: h2o({ keep: 10 }),
        prompt,
        maxTokens: 12,
        signal: controller.signal,
        onProgress,
      });
      await expect(aborted.result).rejects.toThrow(`at ${at}`);
      expect(live(backend)).toEqual(before);
    }
    await works();

    await backend.dispose();
    await backend.dispose();
    expect(backend.memory()).toMatchObject(nothing);
    expect(live(backend)).toEqual({});
    expect(() => backend.allocate(4, "test")).toThrow(/this backend was disposed of/);
  },
  patience,
);

testWith(
  adapterThere,
  "memory beyond maxBytes ends a generation with an OutOfMemoryError, and all bytes are freed",
  async () => {
    const { backend } = await opened({ maxBytes: 300_000 });
    const model = await load(backend);
    const before = live(backend);
    await expect(generate({ model, policy: h2o({ keep: 300 }), prompt: randomIds(400, 2) }).result).rejects.toThrow(
      OutOfMemoryError,
    );
    expect({ ...live(backend), rope: 0 }).toEqual({ ...before, rope: 0 });
    await backend.synchronise();
    expect((await answer(model).result).ids).toHaveLength(12);
    await backend.dispose();
  },
  patience,
);

testWith(
  adapterThere,
  "memory that the driver does not have is reported as an OutOfMemoryError, and work goes on",
  async () => {
    const path = fileURLToPath(new URL("fixtures/out-of-memory.mjs", import.meta.url));
    const built = fileURLToPath(new URL("../dist/index.js", import.meta.url));
    if (!existsSync(built)) throw new Error(`${built} is not there: run "pnpm build" at the root first`);
    // SwiftShader's memory is the process's, which gets 3 GB of addresses.
    const child = spawn("bash", ["-c", `ulimit -v 3000000; exec "${process.execPath}" "${path}"`], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (out += data));
    await new Promise((resolve) => child.on("close", resolve));
    expect(JSON.parse(out.trim().split("\n").at(-1)!), out).toEqual({
      name: "OutOfMemoryError",
      names: "allocate: 536870912 bytes for ballast, with",
      counted: true,
      read: [3, 3, 3, 3],
      left: nothing,
    });
  },
  120_000,
);
